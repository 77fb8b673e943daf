package keydir_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"example.org/cis/sinks/keydir"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

var (
	monday = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	ada    = people.ID{0xad, 0xa0, 15: 1}
)

type makeKey func(dir string, publisher people.Publisher, alg string, bits int, rand io.Reader, now time.Time) (keydir.Key, error)

func do(t testing.TB, make makeKey, dir string, publisher people.Publisher, alg string, day int) keydir.Key {
	t.Helper()
	k, err := make(dir, publisher, alg, 2048, rand.Reader, monday.AddDate(0, 0, day))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ids lists the kids in publishing order, with a star at the one that signs.
func ids(t testing.TB, dir string) string {
	t.Helper()
	list, err := keydir.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, k := range list {
		s := string(k.Publisher) + "." + k.ID
		if k.Current {
			s += "*"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func wantIDs(t testing.TB, dir, when string, want ...string) {
	t.Helper()
	if got := ids(t, dir); got != strings.Join(want, " ") {
		t.Errorf("%s: keys are\n%s, want\n%s", when, got, strings.Join(want, " "))
	}
}

func attribute() people.Attribute {
	return people.Attribute{Value: people.StringValue("Ada"), Metadata: people.Metadata{
		Classification: "PUBLIC", Created: "2026-03-02T08:00:00.000Z", LastModified: "2026-03-02T08:00:00.000Z"}}
}

func TestWhatIsMadeSignsAndIsPublished(t *testing.T) {
	for _, alg := range []string{sign.RS256, sign.EdDSA} {
		t.Run(alg, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "keys")
			made := do(t, keydir.New, dir, people.LDAP, alg, 0)
			if made.Algorithm != alg || !made.Current || !made.Created.Equal(monday) || made.ID != made.Public.ID() || len(made.ID) != 16 {
				t.Errorf("made %+v of %v", made, made.Created)
			}
			for name, perm := range map[string]fs.FileMode{".": 0o700, "ldap." + made.ID + ".jwk.json": 0o600, "ldap.current": 0o600} {
				if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != perm {
					t.Errorf("%s: %v %v, want %o", name, info.Mode(), err, perm)
				}
			}

			signers, err := keydir.Signers(dir)
			if err != nil || len(signers) != 1 {
				t.Fatal(signers, err)
			}
			a, err := sign.Attribute(context.Background(), signers[people.LDAP], people.LDAP, ada, "first_name", attribute())
			if err != nil {
				t.Fatal(err)
			}
			published, err := keydir.Keys(dir)
			if err != nil {
				t.Fatal(err)
			}
			doc := published.AppendJSON(nil)
			keys, skipped, err := sign.ParseKeys(doc)
			if err != nil || len(skipped) > 0 {
				t.Fatal(err, skipped)
			}
			if err := sign.Verify(keys, ada, "first_name", a, sign.Policy{RequireBinding: true}); err != nil {
				t.Error(err)
			}

			// Another library reads what is published, and gives the key the same name.
			var sets map[string]jose.JSONWebKeySet
			if err := json.Unmarshal(doc, &sets); err != nil {
				t.Fatal(err)
			}
			if k := sets["ldap"].Keys; len(k) != 1 || !k[0].IsPublic() || k[0].KeyID != made.ID || k[0].Algorithm != alg || k[0].Use != "sig" {
				t.Errorf("published %s", doc)
			}
		})
	}
}

func TestSameRandomnessGivesTheSameEd25519Key(t *testing.T) {
	var files [][]byte
	for range 2 {
		dir := t.TempDir()
		k, err := keydir.New(dir, people.CIS, sign.EdDSA, 0, strings.NewReader(strings.Repeat("seed", 8)), monday)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "cis."+k.ID+".jwk.json"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, b)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two files for one seed")
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	name := func(k keydir.Key) string { return string(k.Publisher) + "." + k.ID }
	first := do(t, keydir.New, dir, people.LDAP, sign.EdDSA, 0)
	other := do(t, keydir.New, dir, people.CIS, sign.EdDSA, 0)
	wantIDs(t, dir, "at first", name(other)+"*", name(first)+"*")

	second := do(t, keydir.New, dir, people.LDAP, sign.EdDSA, 1)
	wantIDs(t, dir, "published ahead of its use", name(other)+"*", name(first)+"*", name(second))
	if err := keydir.Use(dir, people.LDAP, second.ID); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, dir, "in use", name(other)+"*", name(second)+"*", name(first))

	third := do(t, keydir.Rotate, dir, people.LDAP, sign.EdDSA, 2)
	wantIDs(t, dir, "rotated", name(other)+"*", name(third)+"*", name(second), name(first))
	signers, err := keydir.Signers(dir)
	if err != nil || signers[people.LDAP].KeyID() != third.ID || signers[people.CIS].KeyID() != other.ID {
		t.Error("signers do not follow", err)
	}

	if err := keydir.Retire(dir, people.LDAP, third.ID); !errors.Is(err, keydir.ErrCurrent) {
		t.Errorf("retiring the key that signs: %v", err)
	}
	if err := keydir.Retire(dir, people.LDAP, first.ID); err != nil {
		t.Error(err)
	}
	if err := keydir.Retire(dir, people.LDAP, first.ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("retiring twice: %v", err)
	}
	if err := keydir.Use(dir, people.LDAP, first.ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("using a retired key: %v", err)
	}
	wantIDs(t, dir, "retired", name(other)+"*", name(third)+"*", name(second))
}

// Older clients read the first key only, and only RSA.
func TestFirstKeyIsRSA(t *testing.T) {
	dir := t.TempDir()
	ed := do(t, keydir.New, dir, people.HRIS, sign.EdDSA, 0)
	old := do(t, keydir.New, dir, people.HRIS, sign.RS256, 1)
	wantIDs(t, dir, "RSA added", "hris."+old.ID, "hris."+ed.ID+"*")
	fresh := do(t, keydir.New, dir, people.HRIS, sign.RS256, 2)
	wantIDs(t, dir, "two, none of them in use", "hris."+fresh.ID, "hris."+old.ID, "hris."+ed.ID+"*")
	if err := keydir.Use(dir, people.HRIS, old.ID); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, dir, "the older in use", "hris."+old.ID+"*", "hris."+fresh.ID, "hris."+ed.ID)
	keys, err := keydir.Keys(dir)
	if err != nil || keys[people.HRIS][0].ID() != old.ID || keys[people.HRIS][0].Algorithm() != sign.RS256 {
		t.Errorf("published first: %v, %v", keys[people.HRIS][0].ID(), err)
	}
}

// A rotation that is cut off leaves one key signing: the older one, or the
// new one if nothing ever said which.
func TestCutOff(t *testing.T) {
	dir := t.TempDir()
	first := do(t, keydir.New, dir, people.LDAP, sign.EdDSA, 0)
	current := filepath.Join(dir, "ldap.current")
	before, err := os.ReadFile(current)
	if err != nil {
		t.Fatal(err)
	}
	second := do(t, keydir.Rotate, dir, people.LDAP, sign.EdDSA, 1)
	if err := os.WriteFile(current, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".new-123"), []byte(`{"kty":`), 0o600); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, dir, "before the switch", "ldap."+first.ID+"*", "ldap."+second.ID)

	if err := os.Remove(current); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, dir, "nothing says which", "ldap."+second.ID+"*", "ldap."+first.ID)
	third := do(t, keydir.New, dir, people.LDAP, sign.EdDSA, 2)
	wantIDs(t, dir, "a newer one changes nothing", "ldap."+second.ID+"*", "ldap."+third.ID, "ldap."+first.ID)

	if err := os.WriteFile(current, []byte("gone\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keydir.Signers(dir); err == nil || !strings.Contains(err.Error(), current) {
		t.Errorf("a current key that is not there: %v", err)
	}
}

func TestExposed(t *testing.T) {
	for _, tc := range []struct {
		name string
		perm fs.FileMode
		file bool
	}{
		{"file that the group reads", 0o640, true},
		{"file that all read", 0o604, true},
		{"directory that the group writes", 0o770, false},
		{"directory that all write", 0o707, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			k := do(t, keydir.New, dir, people.LDAP, sign.EdDSA, 0)
			path := dir
			if tc.file {
				path = filepath.Join(dir, "ldap."+k.ID+".jwk.json")
			}
			if err := os.Chmod(path, tc.perm); err != nil {
				t.Fatal(err)
			}
			_, listErr := keydir.List(dir)
			_, signErr := keydir.Signers(dir)
			_, makeErr := keydir.New(dir, people.HRIS, sign.EdDSA, 0, rand.Reader, monday)
			for _, err := range []error{listErr, signErr, makeErr} {
				if !errors.Is(err, keydir.ErrExposed) || !strings.Contains(err.Error(), path) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

// A file that does not hold its key is named, and nothing of it is shown.
func TestCorrupt(t *testing.T) {
	home := t.TempDir()
	made := map[string]keydir.Key{sign.RS256: do(t, keydir.New, home, people.HRIS, sign.RS256, 0), sign.EdDSA: do(t, keydir.New, home, people.LDAP, sign.EdDSA, 0)}
	other := do(t, keydir.New, t.TempDir(), people.LDAP, sign.EdDSA, 0)
	replace := func(old, with string) func([]byte) []byte {
		return func(b []byte) []byte {
			out := regexp.MustCompile(old).ReplaceAll(b, []byte(with))
			if bytes.Equal(out, b) {
				panic("nothing to replace: " + old)
			}
			return out
		}
	}
	for _, tc := range []struct {
		name string
		alg  string
		edit func([]byte) []byte
	}{
		{"empty", sign.EdDSA, func([]byte) []byte { return nil }},
		{"cut short", sign.RS256, func(b []byte) []byte { return b[:len(b)/2] }},
		{"no JSON", sign.EdDSA, func([]byte) []byte { return []byte("-----BEGIN PRIVATE KEY-----") }},
		{"too long", sign.EdDSA, func(b []byte) []byte { return append(bytes.Repeat([]byte(" "), 1<<17), b...) }},
		{"public half", sign.EdDSA, replace(`"d": "[^"]*",`, ``)},
		{"public half of RSA", sign.RS256, replace(`"d": "[^"]*",`, ``)},
		{"another private half", sign.EdDSA, replace(`"d": "..`, `"d": "__`)},
		{"another private half of RSA", sign.RS256, replace(`"d": "..`, `"d": "__`)},
		{"another key id", sign.EdDSA, replace(`"kid": "[^"]*"`, `"kid": "`+other.ID+`"`)},
		{"another algorithm", sign.EdDSA, replace(`EdDSA`, `RS256`)},
		{"created is no date", sign.EdDSA, replace(`"created": "[^"]*"`, `"created": "yesterday"`)},
		{"a member twice", sign.EdDSA, replace(`"crv"`, `"kid": "x", "crv"`)},
		{"elliptic", sign.EdDSA, func([]byte) []byte { return []byte(`{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ","d":"AQ"}`) }},
		{"a secret", sign.EdDSA, func([]byte) []byte { return []byte(`{"kty":"oct","k":"c2VjcmV0"}`) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := made[tc.alg]
			name := string(k.Publisher) + "." + k.ID + ".jwk.json"
			b, err := os.ReadFile(filepath.Join(home, name))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, name), tc.edit(b), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = keydir.List(dir)
			if !errors.Is(err, keydir.ErrCorrupt) {
				t.Fatalf("got %v", err)
			}
			if want := fmt.Sprintf("keydir: %s: %v", filepath.Join(dir, name), keydir.ErrCorrupt); err.Error() != want {
				t.Errorf("the error says more than it should: %v", err)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	for _, tc := range []struct {
		name      string
		publisher people.Publisher
		alg       string
		bits      int
		rand      io.Reader
	}{
		{"a publisher that leaves the directory", "../ldap", sign.EdDSA, 0, rand.Reader},
		{"a publisher with a dot", "ldap.x", sign.EdDSA, 0, rand.Reader},
		{"no publisher", "", sign.EdDSA, 0, rand.Reader},
		{"HS256", people.LDAP, "HS256", 2048, rand.Reader},
		{"1024 bits", people.LDAP, sign.RS256, 1024, rand.Reader},
		{"1 GiB of bits", people.LDAP, sign.RS256, 1 << 33, rand.Reader},
		{"too little randomness", people.LDAP, sign.EdDSA, 0, strings.NewReader("short")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "keys")
			if _, err := keydir.New(dir, tc.publisher, tc.alg, tc.bits, tc.rand, monday); err == nil {
				t.Error("accepted")
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Error("something was written")
			}
		})
	}
	if _, err := keydir.List(filepath.Join(t.TempDir(), "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
}

func TestNothingPrintsAPrivateKey(t *testing.T) {
	dir := t.TempDir()
	seed := "0123456789abcdefghijklmnopqrstuv"
	k, err := keydir.New(dir, people.LDAP, sign.EdDSA, 0, strings.NewReader(seed), monday)
	if err != nil {
		t.Fatal(err)
	}
	signers, err := keydir.Signers(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n"+verb+"\n", k, signers)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("made", "key", k, "signers", signers)
	slog.New(slog.NewTextHandler(&out, nil)).Info("made", "key", k, "signers", signers)
	if err := json.NewEncoder(&out).Encode(k); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"%s", "%x", "%d", "%v", "%q", "%#v"} {
		if secret := strings.Trim(fmt.Sprintf(form, []byte(seed[:8])), "[]{}"); strings.Contains(out.String(), secret) {
			t.Errorf("the key is printed as %s", form)
		}
	}
	if !strings.Contains(out.String(), "ldap."+k.ID+" (EdDSA, 256 bits)") {
		t.Error("the key's name is not printed")
	}
}
