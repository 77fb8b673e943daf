package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// get asks a service and returns status and body.
func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func tokenOf(t *testing.T, dir string, scope string) string {
	t.Helper()
	code, token, problem := try(t.Context(), "token", "--scope", scope, "--config", filepath.Join(dir, "cis.yaml"))
	if code != exitDone {
		t.Fatal(problem)
	}
	return strings.TrimSpace(token)
}

// The person face does its work without a signing key, with a vault that it
// cannot write; a face answers nothing of another one.
func TestServeOneFace(t *testing.T) {
	dir := rsaCompany(t, "20")
	config := filepath.Join(dir, "cis.yaml")
	if code, _, problem := try(t.Context(), "serve", "--only", "person", "--dev", "--listen", "127.0.0.1:0", "--config", config); code != exitUsage || !strings.Contains(problem, "cis keys jwks") {
		t.Fatalf("without public keys it ends with %d: %s", code, problem)
	}
	_, keys, _ := try(t.Context(), "keys", "jwks", "--config", config)
	if err := os.WriteFile(filepath.Join(dir, "keys.json"), []byte(keys), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CIS_API_PUBLIC_KEYS_FILE", filepath.Join(dir, "keys.json"))
	private := filepath.Join(dir, "cis-keys")
	hidden := private + "-elsewhere"
	if err := os.Rename(private, hidden); err != nil {
		t.Fatal(err)
	}
	person := served(t, dir, "--dev", "--only", "person")
	token := tokenOf(t, dir, "read:fullprofile display:all read:explain write")
	status, body := get(t, person+"/v2/users/id/all", token)
	var page struct{ Users []struct{ UUID string } }
	if err := json.Unmarshal([]byte(body), &page); err != nil || status != 200 || len(page.Users) == 0 {
		t.Fatal(status, body)
	}
	status, body = get(t, person+"/v2/person/"+page.Users[0].UUID+"/explain?attribute=user_id", token)
	if status != 200 || !strings.Contains(body, `"verifies":true`) {
		t.Error(status, body)
	}
	if status, body = get(t, person+"/v2/status?sequenceNumber=1", ""); status != 404 {
		t.Error("the person face answers for the change face:", status, body)
	}
	if err := os.Rename(hidden, private); err != nil {
		t.Fatal(err)
	}
	change := served(t, dir, "--dev", "--only", "change")
	if status, body = get(t, change+"/v2/users/id/all", token); status != 404 {
		t.Error("the change face answers for the person face:", status, body)
	}
	if status, body = get(t, change+"/v2/status?sequenceNumber=1", ""); status == 404 {
		t.Error("the change face does not answer:", status, body)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestServeRefuses(t *testing.T) {
	dir := rsaCompany(t, "20")
	config := filepath.Join(dir, "cis.yaml")
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "api.issuers is empty"},
		{[]string{"--dev", "--listen", "0.0.0.0:0"}, "listen on 127.0.0.1"},
		{[]string{"--dev", "--listen", "nowhere"}, "want an address and a port"},
		{[]string{"--dev", "--only", "hooks"}, "must be one of"},
	} {
		if code, _, problem := try(t.Context(), append([]string{"serve", "--config", config}, c.args...)...); code != exitUsage || !strings.Contains(problem, c.want) {
			t.Errorf("%v: %d %s", c.args, code, problem)
		}
	}
}

// An interrupt ends it in good order, and what --dev wrote down is gone.
func TestServeEnds(t *testing.T) {
	dir := rsaCompany(t, "20")
	t.Run("run", func(t *testing.T) {
		url := served(t, dir, "--dev")
		if status, body := get(t, url+"/readyz", ""); status != 200 {
			t.Error(status, body)
		}
		if _, err := os.Stat(filepath.Join(dir, "cis-dev.json")); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	if _, err := os.Stat(filepath.Join(dir, "cis-dev.json")); !os.IsNotExist(err) {
		t.Error("cis-dev.json is still there", err)
	}
}

// A sync runs beside the service, and what it did is seen at once.
func TestServeBesideSync(t *testing.T) {
	dir := rsaCompany(t, "40")
	url := served(t, dir, "--dev")
	token := tokenOf(t, dir, "read:fullprofile display:all")
	config := filepath.Join(dir, "cis.yaml")
	count := func() int {
		_, body := get(t, url+"/v2/users/id/all?active=any", token)
		return strings.Count(body, `"uuid"`)
	}
	before := count()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, args := range [][]string{{"synth", dir, "--people", "40", "--day", "1"}, {"sync", "--config", config, "--now", "2026-03-03T06:00:00Z"}} {
		cmd := exec.CommandContext(ctx, "cis", args...)
		if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() != exitHeld {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	if after := count(); after <= before {
		t.Errorf("%d people before, %d after a day on which somebody joined", before, after)
	}
	http.DefaultClient.CloseIdleConnections()
}

// What is answered over a vault in Firestore is what is answered over SQLite.
func TestServeFirestore(t *testing.T) {
	spec, _ := emulated(t)
	dir := rsaCompany(t, "40")
	config := filepath.Join(dir, "cis.yaml")
	if code, _, problem := try(t.Context(), "vault", "copy", "sqlite:"+filepath.Join(dir, "cis.db"), spec, "--config", config); code != exitDone {
		t.Fatal(problem)
	}
	var answers [2]map[string]string
	for i, args := range [][]string{{"--dev"}, {"--dev", "--vault", spec}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			answers[i] = map[string]string{}
			url := served(t, dir, args...)
			token := tokenOf(t, dir, "read:fullprofile display:all search:all read:history")
			_, list := get(t, url+"/v2/users/id/all", token)
			var page struct {
				Users []struct {
					UUID   string
					UserID string `json:"user_id"`
					Email  string `json:"primary_email"`
				}
			}
			if err := json.Unmarshal([]byte(list), &page); err != nil || len(page.Users) < 20 {
				t.Fatal(list)
			}
			u := page.Users[7]
			for _, path := range []string{"/v2/user/uuid/" + u.UUID, "/v2/user/user_id/" + neturl.PathEscape(u.UserID), "/v2/user/primary_email/" + neturl.PathEscape(u.Email),
				"/v2/user/user_id/nobody", "/v2/users?active=false", "/v2/users/id/all?connectionMethod=ad%7CMozilla-LDAP", "/v2/users/id/all/by_attribute_contains?staff_information.staff=true&fullProfiles=true",
				"/v2/person/" + u.UUID + "/history", "/v2/groups?source=ldap", "/v2/group/ldap/everyone/members", "/v2/users:export"} {
				status, body := get(t, url+path, token)
				if status != 200 {
					t.Fatalf("%s: %d %s", path, status, body)
				}
				answers[i][path] = asOf.ReplaceAllString(pageToken.ReplaceAllString(body, "$1"), "$1")
			}
			http.DefaultClient.CloseIdleConnections()
		})
	}
	if len(answers[0]) < 11 {
		t.Fatal("SQLite did not answer")
	}
	for path, want := range answers[0] {
		if got := answers[1][path]; got != want {
			t.Errorf("%s: Firestore says\n%.400s\nSQLite says\n%.400s", path, got, want)
		}
	}
}
