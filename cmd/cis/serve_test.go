package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.org/cis/sinks/sqlite"
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
	t.Run("person", func(t *testing.T) {
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
		http.DefaultClient.CloseIdleConnections()
	})
	if err := os.Rename(hidden, private); err != nil {
		t.Fatal(err)
	}
	change := served(t, dir, "--dev", "--only", "change")
	token := tokenOf(t, dir, "write")
	status, body := get(t, change+"/v2/users/id/all", token)
	if status != 404 {
		t.Error("the change face answers for the person face:", status, body)
	}
	if status, body = get(t, change+"/", ""); status != 404 {
		t.Error("the change face has a page:", status, body)
	}
	if status, body = get(t, change+"/v2/status?sequenceNumber=1", ""); status == 404 {
		t.Error("the change face does not answer:", status, body)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestServeRefuses(t *testing.T) {
	dir := rsaCompany(t, "20")
	config := filepath.Join(dir, "cis.yaml")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	empty := t.TempDir()
	if code, _, problem := try(t.Context(), "init", "--config", filepath.Join(empty, "cis.yaml")); code != exitDone {
		t.Fatal(problem)
	}
	broken := filepath.Join(dir, "broken.json")
	if err := os.WriteFile(broken, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, keys string
		args       []string
		want       string
	}{
		{"nobody could call", "", nil, "api.issuers is empty"},
		{"a token for everybody on the network", "", []string{"--dev", "--listen", "0.0.0.0:0"}, "listen on 127.0.0.1"},
		{"no address", "", []string{"--dev", "--listen", "nowhere"}, "want an address and a port"},
		{"no port", "", []string{"--dev", "--listen", "127.0.0.1:99999"}, "cannot be listened on"},
		{"a port that is taken", "", []string{"--dev", "--listen", l.Addr().String()}, "is taken by another program"},
		{"no such face", "", []string{"--dev", "--only", "pages"}, "must be one of"},
		{"a vault that is not there", "", []string{"--dev", "--vault", "sqlite:" + filepath.Join(dir, "nope.db")}, "there is no vault"},
		{"a vault that is not there, to be read", broken, []string{"--dev", "--only", "person", "--vault", "sqlite:" + filepath.Join(dir, "nope.db")}, "there is no vault"},
		{"public keys that are none", broken, []string{"--dev", "--only", "person"}, "api.public_keys_file"},
		{"public keys that are not there", filepath.Join(dir, "gone.json"), []string{"--dev", "--only", "person"}, "cis keys jwks > gone.json"},
		{"a fresh configuration", "", []string{"--dev", "--config", filepath.Join(empty, "cis.yaml")}, "cis sync --first-load"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.keys != "" {
				t.Setenv("CIS_API_PUBLIC_KEYS_FILE", c.keys)
			}
			args := append([]string{"serve", "--listen", "127.0.0.1:0"}, c.args...)
			if !slices.Contains(args, "--config") {
				args = append(args, "--config", config)
			}
			if code, _, problem := tryEnv(t, args...); code != exitUsage || !strings.Contains(problem, c.want) {
				t.Errorf("%d %s", code, problem)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "nope.db")); !os.IsNotExist(err) {
		t.Error("a vault was made", err)
	}
}

// tryEnv runs a command with the test's own environment.
func tryEnv(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, problems bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &problems, os.Environ())
	return code, out.String(), problems.String()
}

// The everyday story: somebody joins a group in the people directory, which tells
// us; before it has its answer the profile is signed anew, and whoever asks next
// reads it.
func TestServeHook(t *testing.T) {
	dir := rsaCompany(t, "60")
	url := served(t, dir, "--dev")
	token := tokenOf(t, dir, "hook read:fullprofile display:all search:all read:history")
	tell := func(id string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "POST", url+"/v2/hook", strings.NewReader(fmt.Sprintf(`{"operation":"update","id":%q,"time":%d}`, id, time.Now().Unix())))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
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
	// Somebody in the directory: the first line of it that names a group.
	path := filepath.Join(dir, "directory.jsonl")
	lines, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var id string
	rows := strings.Split(strings.TrimSpace(string(lines)), "\n")
	for i, row := range rows {
		var p map[string]any
		if json.Unmarshal([]byte(row), &p) != nil {
			continue
		}
		access, _ := p["access_information"].(map[string]any)
		groups, _ := access["mozilliansorg"].(map[string]any)
		values, _ := groups["values"].(map[string]any)
		user, _ := p["user_id"].(map[string]any)
		if name, _ := user["value"].(string); len(values) > 0 && strings.HasPrefix(name, "ad|") {
			id = name
			values["the-newcomers"] = ""
			b, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			rows[i] = string(b)
			break
		}
	}
	if id == "" {
		t.Fatal("nobody in the directory is in a group")
	}
	if err := os.WriteFile(path, []byte(strings.Join(rows, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	members := func() string {
		_, body := get(t, url+"/v2/users/id/all/by_attribute_contains?access_information.mozilliansorg=the-newcomers", token)
		return body
	}
	if strings.Contains(members(), id) {
		t.Fatal("they are in the group already")
	}
	if status, body := tell(id); status != 200 || !strings.Contains(body, "update") {
		t.Fatal(status, body)
	}
	if got := members(); !strings.Contains(got, id) {
		t.Error("they are not in the group: ", got)
	}
	if status, body := tell(id); status != 200 || !strings.Contains(body, "noop") {
		t.Error("told once more it is answered with", status, body)
	}
	if status, body := tell("ad|Mozilla-LDAP|nobody"); status != 404 {
		t.Error("of nobody it is answered with", status, body)
	}
	http.DefaultClient.CloseIdleConnections()
}

// An empty vault answers that nobody was loaded, never that nobody is there.
func TestServeEmpty(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "cis.yaml")
	for _, args := range [][]string{{"synth", dir, "--people", "20"}, {"vault", "check", "--config", config}} {
		_, _, _ = try(t.Context(), args...)
	}
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "cis.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store.Close()
	url := served(t, dir, "--dev")
	token := tokenOf(t, dir, "read:fullprofile display:all search:all read:history")
	for _, path := range []string{"/v2/users", "/v2/user/user_id/x", "/v2/user/metadata/x@example.org", "/v2/users/id/all", "/v2/groups", "/v2/users:export", "/readyz"} {
		if status, body := get(t, url+path, token); status != 503 || strings.Contains(body, "{}") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for _, path := range []string{"/healthz", "/v2/version", "/.well-known/mozilla-iam", "/"} {
		if status, body := get(t, url+path, token); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if out, err := exec.Command("cis", "sync", "--config", config, "--now", "2026-03-02T06:00:00Z", "--first-load", "--reason", "a test").CombinedOutput(); err != nil && !strings.Contains(err.Error(), "3") {
		t.Fatal(err, string(out))
	}
	if status, body := get(t, url+"/v2/users", token); status != 200 || !strings.Contains(body, "uuid") {
		t.Errorf("after the first load: %d %.200s", status, body)
	}
	if status, body := get(t, url+"/readyz", ""); status != 200 {
		t.Errorf("after the first load: %d %s", status, body)
	}
	http.DefaultClient.CloseIdleConnections()
}

// A second server in the same folder does not take the tokens of the first away.
func TestServeTwice(t *testing.T) {
	dir := rsaCompany(t, "20")
	served(t, dir, "--dev")
	if code, _, problem := try(t.Context(), "serve", "--dev", "--listen", "127.0.0.1:0", "--config", filepath.Join(dir, "cis.yaml")); code != exitUsage || !strings.Contains(problem, "runs here already") {
		t.Errorf("%d %s", code, problem)
	}
	tokenOf(t, dir, "write")
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
