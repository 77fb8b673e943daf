package sign_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// reference reads a file below the folder of reference vectors, or skips.
func reference(t *testing.T, name string) []byte {
	t.Helper()
	dir := os.Getenv("CIS_VECTORS")
	if dir == "" {
		t.Skip("CIS_VECTORS is not set: no reference vectors")
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("%s is not beside the reference vectors", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The older system's own signatures, good ones and spoilt ones, are judged as
// it judges them. No difference is accepted.
func TestVectorsSignatures(t *testing.T) {
	var vectors struct {
		JWKS  json.RawMessage `json:"jwks"`
		Cases []struct {
			Attribute people.Path     `json:"attribute"`
			Body      json.RawMessage `json:"body"`
			Valid     bool            `json:"valid"`
			Why       string          `json:"why"`
		} `json:"cases"`
	}
	if err := json.Unmarshal(reference(t, "signatures.json"), &vectors); err != nil {
		t.Fatal(err)
	}
	keys, skipped, err := sign.ParseKeys(vectors.JWKS)
	if err != nil || len(skipped) > 0 || len(vectors.Cases) == 0 {
		t.Fatal(err, skipped)
	}
	for i, c := range vectors.Cases {
		a, err := people.ParseAttribute(c.Body)
		if err == nil {
			err = sign.Verify(keys, ada, c.Attribute, a, sign.Policy{})
		}
		if (err == nil) != c.Valid {
			t.Errorf("case %d, %s, %s: valid %v, got %v", i, c.Attribute, c.Why, c.Valid, err)
		}
		if err := sign.Verify(keys, ada, c.Attribute, a, sign.Policy{RequireBinding: true}); err == nil {
			t.Errorf("case %d: bound, though nothing of the older system is", i)
		}
	}
}

// The LDAP publisher's signatures of two profiles verify with the keys of the
// development environment, and not with those of production.
func TestReferenceProfiles(t *testing.T) {
	var profiles map[string]json.RawMessage
	if err := json.Unmarshal(reference(t, "../cis-data/ldap-profiles.signed.json"), &profiles); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		file string
		good bool
	}{{"../cis-data/well-known.dev.json", true}, {"../cis-data/well-known.prod.json", false}} {
		keys, skipped, err := sign.ParseKeys(reference(t, tc.file))
		if err != nil || len(skipped) > 0 || len(keys) != 5 {
			t.Fatal(err, skipped)
		}
		checked := 0
		for name, raw := range profiles {
			p, err := people.ParseProfile(raw)
			if err != nil {
				t.Fatal(name, err)
			}
			findings := sign.Profile(keys, p, sign.Policy{})
			for _, n := range p.Attributes {
				if n.Signature.Publisher.Value == "" {
					continue
				}
				checked++
				at := slices.IndexFunc(findings, func(f sign.Finding) bool { return f.Path == n.Path })
				if tc.good && at >= 0 {
					t.Errorf("%s: %s: %v", tc.file, n.Path, findings[at].Err)
				}
				if !tc.good && (at < 0 || !errors.Is(findings[at].Err, sign.ErrBadSignature)) {
					t.Errorf("%s: %s: not refused for its key", tc.file, n.Path)
				}
			}
		}
		if checked != 10 {
			t.Errorf("%d signed attributes, want 10", checked)
		}
	}
}

var update = flag.Bool("update", false, "rewrite testdata/vectors.json with new keys")

// A vector is one signature as some version wrote it, and what it is judged
// to be at one place.
type vector struct {
	Why     string          `json:"why"`
	Person  people.ID       `json:"person"`
	Path    people.Path     `json:"attribute"`
	Body    json.RawMessage `json:"body"`
	Bound   bool            `json:"require_binding"`
	Verdict string          `json:"verdict"` // the sentinel's text, "" for good
}

type vectorFile struct {
	Keys  json.RawMessage `json:"jwks"`
	Cases []vector        `json:"cases"`
}

// What any version signed, every later version must still read.
func TestOwnVectors(t *testing.T) {
	const file = "testdata/vectors.json"
	if *update {
		b, err := json.MarshalIndent(makeVectors(t), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var vectors vectorFile
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	keys, skipped, err := sign.ParseKeys(vectors.Keys)
	if err != nil || len(skipped) > 0 {
		t.Fatal(err, skipped)
	}
	sentinels := map[string]error{"": nil}
	for _, e := range []error{sign.ErrUnsigned, sign.ErrUnknownPublisher, sign.ErrHeader, sign.ErrBadSignature, sign.ErrMoved, sign.ErrUnbound, sign.ErrMismatch} {
		sentinels[e.Error()] = e
	}
	for _, v := range vectors.Cases {
		a, err := people.ParseAttribute(v.Body)
		if err != nil {
			t.Fatal(v.Why, err)
		}
		want, known := sentinels[v.Verdict]
		if err := sign.Verify(keys, v.Person, v.Path, a, sign.Policy{RequireBinding: v.Bound}); !known || !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %q", v.Why, err, v.Verdict)
		}
	}
}

func makeVectors(t *testing.T) vectorFile {
	keys := sign.Keys{
		people.LDAP: {keyOf(t, "ldap-rsa", rsaKey()), keyOf(t, "ldap-ed", edKey("ldap"))},
		people.HRIS: {keyOf(t, "hris-ed", edKey("hris"))},
	}
	var cases []vector
	add := func(why string, id people.ID, path people.Path, a people.Attribute, bound bool, verdict error) {
		v := vector{Why: why, Person: id, Path: path, Body: a.AppendJSON(nil, true), Bound: bound}
		if verdict != nil {
			v.Verdict = verdict.Error()
		}
		cases = append(cases, v)
	}
	for _, s := range []sign.Signer{signerOf(t, "ldap-rsa", rsaKey()), signerOf(t, "ldap-ed", edKey("ldap"))} {
		alg := s.Algorithm() + ": "
		p := people.LDAP
		name := signed(t, s, p, ada, "first_name", people.StringValue("Zoë 😀 O'Neil <&> \"\\"))
		add(alg+"a name", ada, "first_name", name, true, nil)
		add(alg+"an empty string", ada, "location", signed(t, s, p, ada, "location", people.StringValue("")), true, nil)
		add(alg+"a boolean", ada, "staff_information.staff", signed(t, s, p, ada, "staff_information.staff", people.BoolValue(true)), true, nil)
		add(alg+"groups", ada, "access_information.ldap", signed(t, s, p, ada, "access_information.ldap",
			people.MapValue(people.Entry{Key: "all", Null: true}, people.Entry{Key: "vpn", Value: ""})), true, nil)
		add(alg+"no groups", ada, "access_information.ldap", signed(t, s, p, ada, "access_information.ldap", people.MapValue()), true, nil)
		add(alg+"moved to another person", grace, "first_name", name, false, sign.ErrMoved)
		add(alg+"moved to another attribute", ada, "last_name", name, false, sign.ErrMoved)
		altered := name
		altered.Metadata.Display = "public"
		add(alg+"display altered", ada, "first_name", altered, false, sign.ErrMismatch)
		renamed := name
		renamed.Signature.Publisher.Name = "hris"
		add(alg+"publisher swapped", ada, "first_name", renamed, false, sign.ErrBadSignature)
		renamed.Signature.Publisher.Name = "mallory"
		add(alg+"publisher unknown", ada, "first_name", renamed, false, sign.ErrUnknownPublisher)
	}
	old := adaAttribute()
	add("unsigned", ada, "first_name", old, false, sign.ErrUnsigned)
	old.Signature.Publisher = forge(t, rsaKey(), "RS256", `{"typ":"JWT","alg":"RS256"}`, adaPayload)
	add("unbound, as in old data", ada, "first_name", old, false, nil)
	add("unbound, where binding is required", ada, "first_name", old, true, sign.ErrUnbound)
	old.Signature.Publisher = forge(t, rsaKey(), "RS256", `{"alg":"RS256","crit":["b64"],"b64":true}`, adaPayload)
	add("header with crit", ada, "first_name", old, false, sign.ErrHeader)
	return vectorFile{keys.AppendJSON(nil), cases}
}
