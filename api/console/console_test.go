package console_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"example.org/cis/api/console"
)

// serve answers a request by the page's route for a path.
func serve(t *testing.T, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	for _, route := range console.New() {
		if !route.Open || route.Cross || route.MaxBody != 0 {
			t.Errorf("%s is not a plain open route: %+v", route.Path, route)
		}
		mux.HandleFunc(route.Method+" "+route.Path, func(w http.ResponseWriter, r *http.Request) {
			if err := route.Serve(w, r); err != nil {
				t.Error(err)
			}
		})
	}
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, r)
	return rec
}

func TestFiles(t *testing.T) {
	for path, contentType := range map[string]string{"/": "text/html", "/console.css": "text/css", "/console.js": "text/javascript"} {
		rec := serve(t, path)
		h := rec.Result().Header
		if rec.Code != 200 || !strings.HasPrefix(h.Get("Content-Type"), contentType) || rec.Body.Len() < 1000 {
			t.Errorf("%s: %d %s, %d bytes", path, rec.Code, h.Get("Content-Type"), rec.Body.Len())
		}
		csp := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy has no %s: %s", path, want, csp)
			}
		}
		again := serve(t, path, "If-None-Match", h.Get("ETag"))
		if again.Code != http.StatusNotModified || again.Body.Len() != 0 || again.Result().Header.Get("Content-Security-Policy") != csp {
			t.Errorf("%s again: %d", path, again.Code)
		}
	}
	if rec := serve(t, "/console.html"); rec.Code != 404 {
		t.Errorf("/console.html: %d", rec.Code)
	}
}

// TestOwnFilesOnly looks for what the page's policy would refuse, and for ways
// to make markup of text.
func TestOwnFilesOnly(t *testing.T) {
	outside := regexp.MustCompile(`(?i)https?://[^'" )]*|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|@import|url\(|\bon[a-z]+="|style=|<style|javascript:`)
	err := fs.WalkDir(os.DirFS("static"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile("static/" + name)
		for _, found := range outside.FindAllString(string(b), -1) {
			if found != "http://www.w3.org/2000/svg" { // the name of a language, which nobody loads
				t.Errorf("static/%s has %q", name, found)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
