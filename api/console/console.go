// Package console owns the page at / by which a person looks somebody up in a
// browser: three files, built into the program and the same for everybody.
//
// It reads nothing of people. The page asks the Person API with the token that
// its user pastes into it, so that it shows what that token may see and not a
// word more; whatever is decided about that is decided there.
//
// The token stays in the browser: in the session storage of its tab, until it is
// forgotten, refused or the tab is closed. It is never part of an address.
// The address of somebody shown is /#uuid, which browsers do not send. Values are
// text and are put on the page as text, which the policy of the page enforces:
// it runs no script but its own, loads nothing from elsewhere (so that pictures
// and links of a profile are words), sends to nobody else, and lets no script
// write markup.
package console

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	"example.org/cis/api"
)

//go:embed static
var static embed.FS

// policy is the page's Content-Security-Policy. Trusted types make a browser
// refuse text where markup is expected (https://www.w3.org/TR/trusted-types/).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// New returns the routes of the page and its files.
func New() []api.Route {
	return []api.Route{
		file("/{$}", "console.html", "text/html; charset=utf-8"),
		file("/console.css", "console.css", "text/css; charset=utf-8"),
		file("/console.js", "console.js", "text/javascript; charset=utf-8"),
	}
}

// file answers with a file. Browsers keep it and ask each time whether it is
// still the same: pages of one version never meet scripts of another.
func file(path, name, contentType string) api.Route {
	body, err := static.ReadFile("static/" + name)
	if err != nil {
		panic(fmt.Sprintf("console: %v", err)) // it was built without its own files
	}
	sum := sha256.Sum256(body)
	tag := `W/"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`
	return api.Route{Method: "GET", Path: path, Open: true, Free: true, Serve: func(w http.ResponseWriter, r *http.Request) error {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", tag)
		if strings.Contains(r.Header.Get("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		return api.Body(w, http.StatusOK, contentType, body)
	}}
}
