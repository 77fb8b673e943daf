package sign_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// published is what other people's code gets to see: the keys and two
// profiles as JSON, one signed with RS256 and one with Ed25519.
type published struct {
	Keys     json.RawMessage   `json:"keys"`
	Profiles []json.RawMessage `json:"profiles"`
}

func publish(t *testing.T) published {
	keys := sign.Keys{people.CIS: {keyOf(t, "cis-rsa", rsaKey()), keyOf(t, "cis-ed", edKey("cis"))}}
	return published{keys.AppendJSON(nil), []json.RawMessage{
		person(t, signerOf(t, "cis-rsa", rsaKey()), ada).AppendJSON(nil),
		person(t, signerOf(t, "cis-ed", edKey("cis")), grace).AppendJSON(nil),
	}}
}

// Another Go library verifies what is signed here, with the keys as they are
// published, and finds the attribute in the payload.
func TestVerifiesWithAnotherLibrary(t *testing.T) {
	out := publish(t)
	var sets map[string]json.RawMessage
	if err := json.Unmarshal(out.Keys, &sets); err != nil {
		t.Fatal(err)
	}
	set, err := jwk.Parse(sets["cis"])
	if err != nil {
		t.Fatal(err)
	}
	verified := 0
	for _, raw := range out.Profiles {
		p, err := people.ParseProfile(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range p.Attributes {
			mark := n.Signature.Publisher
			if mark.Value == "" {
				continue
			}
			payload, err := jws.Verify([]byte(mark.Value), jws.WithKeySet(set))
			if err != nil {
				t.Errorf("%s %s: %v", mark.Alg, n.Path, err)
				continue
			}
			var got, want any
			if err := errors.Join(json.Unmarshal(payload, &got), json.Unmarshal(n.AppendJSON(nil, false), &want)); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s %s: the payload is not the attribute", mark.Alg, n.Path)
			}
			verified++
		}
	}
	if verified != 14 {
		t.Errorf("%d signatures verified, want 14", verified)
	}
}

// A library of another language does too, and refuses what was altered. It
// needs node and the npm package jose, in the folder that CIS_JOSE names or
// in cis/jose below the user's cache folder.
func TestVerifiesInAnotherLanguage(t *testing.T) {
	missing := func(what string) {
		if os.Getenv("CIS_REQUIRE_ALL") == "1" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("node is not installed")
	}
	dir := os.Getenv("CIS_JOSE")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(cache, "cis", "jose")
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "jose")); errors.Is(err, fs.ErrNotExist) {
		missing("the npm package jose is not installed in " + dir)
	}

	out := publish(t)
	spoilt := bytes.Replace(out.Profiles[1], []byte(`"value":"`+grace.String()), []byte(`"value":"`+ada.String()), 1)
	out.Profiles = append(out.Profiles, spoilt)
	in, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "testdata/verify.mjs", dir)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	answer, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.Bytes())
	}
	var got struct {
		Verified int
		Refused  []string
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatal(err)
	}
	// Of the third profile, whose uuid was altered, no attribute holds: all
	// the others are bound to the person that it was.
	if got.Verified != 14 || len(got.Refused) != 7 {
		t.Errorf("verified %d of 14, refused %q", got.Verified, got.Refused)
	}
}
