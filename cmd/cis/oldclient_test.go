package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// rsaCompany is a folder with a loaded company whose keys are RSA, as older
// clients need them.
func rsaCompany(t *testing.T, people string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "company")
	at := []string{"--config", filepath.Join(dir, "cis.yaml")}
	do := func(args ...string) {
		t.Helper()
		if code, _, stderr := try(t.Context(), args...); code != exitDone && code != exitHeld {
			t.Fatalf("cis %s: %s", strings.Join(args, " "), stderr)
		}
	}
	do("synth", dir, "--people", people)
	if err := os.RemoveAll(filepath.Join(dir, "cis-keys")); err != nil {
		t.Fatal(err)
	}
	do(append([]string{"keys", "new", "--all"}, at...)...)
	do(append([]string{"sync", "--now", "2026-03-02T06:00:00Z", "--first-load", "--reason", "a test"}, at...)...)
	return dir
}

// TestOldClient has a client in another language, which knows nothing of this
// project, do what clients of CIS v2 do: see testdata/oldclient.
func TestOldClient(t *testing.T) {
	python := os.Getenv("CIS_PYTHON")
	if python == "" {
		if os.Getenv("CIS_REQUIRE_ALL") != "" {
			t.Fatal("CIS_PYTHON names no Python that has python-jose")
		}
		t.Skip("CIS_PYTHON names no Python that has python-jose")
	}
	dir := rsaCompany(t, "120")
	service := served(t, dir, "--dev")
	dev, err := (&program{everywhere: everywhere{Config: filepath.Join(dir, "cis.yaml")}}).readDev()
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), python, filepath.Join("..", "..", "testdata", "oldclient", "client.py"), service, dev.Issuer+"oauth/token", dev.ClientID, dev.Secret, dev.Audience)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var count struct{ People, Signatures, Unsigned, Pages int }
	if err := json.Unmarshal(stdout.Bytes(), &count); err != nil {
		t.Fatal(err)
	}
	if count.People < 120 || count.Pages < 3 || count.Signatures < 15*count.People {
		t.Errorf("it verified %+v", count)
	}
}

// Every profile that is answered, without what older clients do not know, is
// valid by the older system's schema. That demands all attributes, while what a
// caller may not see is absent: those are put back as a null profile has them.
func TestOldSchema(t *testing.T) {
	vectors := os.Getenv("CIS_VECTORS")
	if vectors == "" {
		t.Skip("CIS_VECTORS is not set: the older system's schema is not there")
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4)
	schema, err := compiler.Compile(filepath.Join(vectors, "..", "cis-data", "profile.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	null := func() (profile map[string]any) {
		b, err := os.ReadFile(filepath.Join(vectors, "..", "cis-data", "user_profile_null.json"))
		if err == nil {
			err = json.Unmarshal(b, &profile)
		}
		if err != nil {
			t.Fatal(err)
		}
		return profile
	}
	dir := rsaCompany(t, "60")
	service := served(t, dir, "--dev")
	for _, scope := range []string{"read:fullprofile display:all search:all", "write", "display:staff display:none classification:workgroup", "read:fullprofile"} {
		code, token, problem := try(t.Context(), "token", "--scope", scope, "--config", filepath.Join(dir, "cis.yaml"))
		if code != exitDone {
			t.Fatal(problem)
		}
		get := func(path string) (body map[string]any) {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), "GET", service+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %d %s", path, resp.StatusCode, b)
			}
			if err := json.Unmarshal(b, &body); err != nil {
				t.Fatal(err)
			}
			return body
		}
		valid := func(profile any) {
			t.Helper()
			got := profile.(map[string]any)
			delete(got["access_information"].(map[string]any), "github")
			if !strings.HasPrefix(scope, "read:fullprofile display:all") {
				for name, v := range null() {
					inner, is := got[name].(map[string]any)
					if _, seen := got[name]; !seen {
						got[name] = v
					} else if _, attribute := inner["metadata"]; is && !attribute {
						for name, v := range v.(map[string]any) {
							if _, seen := inner[name]; !seen {
								inner[name] = v
							}
						}
					}
				}
			}
			if err := schema.Validate(profile); err != nil {
				t.Fatalf("%s: %v", scope, err)
			}
		}
		n := 0
		for next := ""; ; {
			page := get("/v2/users?active=any" + next)
			for _, p := range page["Items"].([]any) {
				valid(p)
				n++
			}
			if page["nextPage"] == nil {
				break
			}
			next = "&nextPage=" + page["nextPage"].(map[string]any)["id"].(string)
		}
		if n < 60 {
			t.Errorf("%d people", n)
		}
		if strings.Contains(scope, "search:all") {
			for _, u := range get("/v2/users/id/all/by_attribute_contains?staff_information.staff=true&fullProfiles=true")["users"].([]any) {
				valid(u.(map[string]any)["profile"])
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
