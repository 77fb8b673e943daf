package sign_test

import (
	"context"
	"crypto"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// forge signs any header over any payload with a publisher's real key, as a
// careless or hostile producer would.
func forge(t testing.TB, key crypto.Signer, alg, header, payload string) people.Mark {
	t.Helper()
	b64 := base64.RawURLEncoding
	input := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	raw, err := signerOf(t, "any", key).Sign(context.Background(), []byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return people.Mark{Alg: alg, Typ: "JWS", Name: "ldap", Value: input + "." + b64.EncodeToString(raw)}
}

// The payload of the attribute below, in the older system's order of keys.
const adaPayload = `{"metadata":{"classification":"PUBLIC","last_modified":"2026-03-02T08:00:00Z","created":"2026-03-02T08:00:00Z","verified":true,"display":null},"value":"Ada"}`

func adaAttribute() people.Attribute {
	return people.Attribute{Value: people.StringValue("Ada"), Metadata: people.Metadata{
		Classification: "PUBLIC", Created: "2026-03-02T08:00:00.000Z", LastModified: "2026-03-02T08:00:00Z", Verified: true}}
}

const bound = `"sub":"ada00000-0000-0000-0000-000000000001","attr":"first_name"`

func TestVerifyHeader(t *testing.T) {
	keys := sign.Keys{people.LDAP: {keyOf(t, "rsa", rsaKey()), keyOf(t, "ed", edKey("ldap"))}}
	for _, tc := range []struct {
		name   string
		header string
		mark   string
		policy sign.Policy
		want   error
	}{
		{"as the older system writes it", `{"typ":"JWT","alg":"RS256"}`, "RS256", sign.Policy{}, nil},
		{"mark says RSA", `{"alg":"RS256"}`, "RSA", sign.Policy{}, nil},
		{"unknown members are ignored", `{"alg":"RS256","iat":1}`, "RS256", sign.Policy{}, nil},
		{"a kid of another key", `{"alg":"RS256","kid":"ed"}`, "RS256", sign.Policy{}, nil},
		{"bound", `{"alg":"EdDSA",` + bound + `}`, "ED25519", sign.Policy{RequireBinding: true}, nil},
		{"unbound where binding is required", `{"alg":"RS256","typ":"JWT"}`, "RS256", sign.Policy{RequireBinding: true}, sign.ErrUnbound},
		{"another person", `{"alg":"EdDSA","sub":"97ace000-0000-0000-0000-000000000002","attr":"first_name"}`, "ED25519", sign.Policy{}, sign.ErrMoved},
		{"another attribute", `{"alg":"EdDSA","sub":"ada00000-0000-0000-0000-000000000001","attr":"last_name"}`, "ED25519", sign.Policy{}, sign.ErrMoved},

		{"alg none", `{"alg":"none"}`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"alg HS256", `{"alg":"HS256"}`, "HS256", sign.Policy{}, sign.ErrHeader},
		{"alg PS256", `{"alg":"PS256"}`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"alg missing", `{"typ":"JWT"}`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"alg no string", `{"alg":["RS256"]}`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"alg twice", `{"alg":"RS256","alg":"EdDSA"}`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"alg twice, once escaped", `{"alg":"RS256","\u0061lg":"EdDSA"}`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"the kid of a key of another type", `{"alg":"EdDSA","kid":"rsa"}`, "ED25519", sign.Policy{}, nil},
		{"an RSA signature under EdDSA", `{"alg": "EdDSA"}`, "ED25519", sign.Policy{}, sign.ErrBadSignature},
		{"mark contradicts header", `{"alg":"RS256"}`, "ED25519", sign.Policy{}, sign.ErrHeader},
		{"crit", `{"alg":"RS256","crit":["exp"],"exp":1}`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"unencoded payload", `{"alg":"RS256","b64":false}`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"brings its key", `{"alg":"RS256","jwk":{}}`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"names a key address", `{"alg":"RS256","jku":"https://example.net"}`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"names a certificate", `{"alg":"RS256","x5u":"https://example.net"}`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"half a binding", `{"alg":"RS256","sub":"ada00000-0000-0000-0000-000000000001"}`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"empty binding", `{"alg":"RS256","sub":"","attr":""}`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"another typ", `{"alg":"RS256","typ":"at+jwt"}`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"null", `null`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"no JSON", `{"alg":"RS256"`, "RS256", sign.Policy{}, sign.ErrHeader},
		{"two objects", `{"alg":"RS256"}{}`, "RS256", sign.Policy{}, sign.ErrHeader},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var key crypto.Signer = rsaKey()
			if strings.Contains(tc.header, `"alg":"EdDSA"`) { // without a space
				key = edKey("ldap")
			}
			a := adaAttribute()
			a.Signature.Publisher = forge(t, key, tc.mark, tc.header, adaPayload)
			if err := sign.Verify(keys, ada, "first_name", a, tc.policy); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestVerifyMark(t *testing.T) {
	keys := sign.Keys{people.LDAP: {keyOf(t, "", rsaKey())}, people.HRIS: {}}
	good := forge(t, rsaKey(), "RS256", `{"alg":"RS256","typ":"JWT"}`, adaPayload)
	parts := strings.Split(good.Value, ".")
	for _, tc := range []struct {
		name string
		edit func(*people.Mark)
		want error
	}{
		{"untouched", func(*people.Mark) {}, nil},
		{"no signature", func(m *people.Mark) { m.Value = "" }, sign.ErrUnsigned},
		{"no publisher", func(m *people.Mark) { m.Name = "" }, sign.ErrUnknownPublisher},
		{"publisher nobody knows", func(m *people.Mark) { m.Name = "mallory" }, sign.ErrUnknownPublisher},
		{"publisher without keys", func(m *people.Mark) { m.Name = "hris" }, sign.ErrUnknownPublisher},
		{"a PGP mark", func(m *people.Mark) { m.Typ = "PGP" }, sign.ErrHeader},
		{"one part", func(m *people.Mark) { m.Value = parts[0] }, sign.ErrHeader},
		{"two parts", func(m *people.Mark) { m.Value = parts[0] + "." + parts[1] }, sign.ErrHeader},
		{"four parts", func(m *people.Mark) { m.Value += "." + parts[2] }, sign.ErrHeader},
		{"padding", func(m *people.Mark) { m.Value = parts[0] + "=." + parts[1] + "." + parts[2] }, sign.ErrHeader},
		{"a line break", func(m *people.Mark) { m.Value += "\n" }, sign.ErrHeader},
		{"the other alphabet", func(m *people.Mark) { m.Value = parts[0] + "." + parts[1] + ".+/" }, sign.ErrHeader},
		{"an empty signature", func(m *people.Mark) { m.Value = parts[0] + "." + parts[1] + "." }, sign.ErrBadSignature},
		{"a shorter signature", func(m *people.Mark) { m.Value = parts[0] + "." + parts[1] + ".AAAA" }, sign.ErrBadSignature},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := adaAttribute()
			a.Signature.Publisher = good
			tc.edit(&a.Signature.Publisher)
			if err := sign.Verify(keys, ada, "first_name", a, sign.Policy{}); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// Payload and attribute are compared by meaning.
func TestVerifyPayload(t *testing.T) {
	keys := sign.Keys{people.LDAP: {keyOf(t, "", edKey("ldap"))}}
	for _, tc := range []struct {
		name          string
		payload, body string
		want          string // part of the error, "" for none
	}{
		{"other order, escapes and white space",
			`{ "value": "Ad\u0061 \/", "metadata": {"display":null,"verified":true,"created":"2026-03-02T08:00:00Z","last_modified":"2026-03-02T08:00:00Z","classification":"PUBLIC"}}`,
			`{"metadata":{"classification":"PUBLIC","created":"2026-03-02T08:00:00.000Z","display":null,"last_modified":"2026-03-02T09:00:00.000+01:00","verified":true},"value":"Ada /"}`, ""},
		{"malformed date of old data, the same on both sides",
			`{"metadata":{"created":"2019-01-01T:10:00:00.000Z","last_modified":"x"},"value":true}`,
			`{"metadata":{"created":"2019-01-01T:10:00:00.000Z","last_modified":"x"},"value":true}`, ""},
		{"malformed date of old data, mended on one side",
			`{"metadata":{"created":"2019-01-01T:10:00:00.000Z"},"value":true}`,
			`{"metadata":{"created":"2019-01-01T10:00:00Z"},"value":true}`, ""},
		{"numbers in old groups",
			`{"metadata":{},"values":{"b":1,"a":null}}`, `{"metadata":{},"values":{"a":null,"b":"1"}}`, ""},
		{"null", `{"metadata":{},"value":null}`, `{"metadata":{},"value":null}`, ""},

		{"another value", `{"metadata":{},"value":"Ada"}`, `{"metadata":{},"value":"Eve"}`, "value"},
		{"a string for a boolean", `{"metadata":{},"value":"true"}`, `{"metadata":{},"value":true}`, "value"},
		{"a group more", `{"metadata":{},"values":{"a":null}}`, `{"metadata":{},"values":{"a":null,"root":null}}`, "value"},
		{"null of another kind", `{"metadata":{},"values":null}`, `{"metadata":{},"value":null}`, "value"},
		{"another display", `{"metadata":{"display":"staff"},"value":""}`, `{"metadata":{"display":"public"},"value":""}`, "display"},
		{"verified", `{"metadata":{"verified":false},"value":""}`, `{"metadata":{"verified":true},"value":""}`, "verified"},
		{"another classification", `{"metadata":{"classification":"PUBLIC"},"value":""}`, `{"metadata":{"classification":"INDIVIDUAL CONFIDENTIAL"},"value":""}`, "classification"},
		{"another instant", `{"metadata":{"created":"2026-03-02T08:00:00Z"},"value":""}`, `{"metadata":{"created":"2026-03-02T08:00:00.001Z"},"value":""}`, "created"},
		{"a date that is none", `{"metadata":{"last_modified":"2026-03-02"},"value":""}`, `{"metadata":{"last_modified":"2026-03-02T00:00:00Z"},"value":""}`, "last_modified"},
		{"a signature inside", `{"metadata":{},"value":"","signature":{"publisher":{"name":"x"}}}`, `{"metadata":{},"value":""}`, "inside"},
		{"a value twice", `{"metadata":{},"value":"Eve","value":"Ada"}`, `{"metadata":{},"value":"Ada"}`, "no attribute"},
		{"no attribute", `[]`, `{"metadata":{},"value":""}`, "no attribute"},
		{"nothing", ``, `{"metadata":{},"value":""}`, "no attribute"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, err := people.ParseAttribute([]byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			a.Signature.Publisher = forge(t, edKey("ldap"), "ED25519", `{"alg":"EdDSA",`+bound+`}`, tc.payload)
			err = sign.Verify(keys, ada, "first_name", a, sign.Policy{RequireBinding: true})
			if tc.want == "" && err != nil || tc.want != "" && (!errors.Is(err, sign.ErrMismatch) || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestVerifyDuringRotation(t *testing.T) {
	older, newer := edKey("older"), edKey("newer")
	a := signed(t, signerOf(t, "older", older), people.CIS, ada, people.Active, people.BoolValue(true))
	for _, tc := range []struct {
		name string
		keys []sign.Key
		want error
	}{
		{"both published", []sign.Key{keyOf(t, "newer", newer), keyOf(t, "older", older)}, nil},
		{"kids left out", []sign.Key{keyOf(t, "", newer), keyOf(t, "", older)}, nil},
		{"one kid for all", []sign.Key{keyOf(t, "CISKeyId", newer), keyOf(t, "CISKeyId", older)}, nil},
		{"kid taken by another key", []sign.Key{keyOf(t, "older", newer), keyOf(t, "newer", older)}, nil},
		{"retired", []sign.Key{keyOf(t, "newer", newer)}, sign.ErrBadSignature},
		{"RSA only", []sign.Key{keyOf(t, "older", rsaKey())}, sign.ErrBadSignature},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := sign.Verify(sign.Keys{people.CIS: tc.keys}, ada, people.Active, a, sign.Policy{}); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// person is a profile with a signed uuid and one attribute of every kind.
func person(t testing.TB, s sign.Signer, id people.ID) *people.Profile {
	p := &people.Profile{Schema: "https://example.org/profile.schema"}
	for path, v := range map[people.Path]people.Value{
		people.UUID:                 people.StringValue(id.String()),
		people.Active:               people.BoolValue(true),
		"first_name":                people.StringValue("Zoë 😀 O'Neil\u2028<&>\\\"\x7f"),
		"last_name":                 people.StringValue(""),
		"tags":                      people.MapValue(),
		"access_information.ldap":   people.MapValue(people.Entry{Key: "ünïcode", Null: true}, people.Entry{Key: "all", Value: ""}),
		"staff_information.manager": people.BoolValue(false),
	} {
		p.Set(path, signed(t, s, people.CIS, id, path, v))
	}
	p.Set("pronouns", attribute(people.NullValue(false)))
	return p
}

func TestProfile(t *testing.T) {
	s := signerOf(t, "k", edKey("cis"))
	keys := sign.Keys{people.CIS: {keyOf(t, "k", edKey("cis"))}}
	p := person(t, s, ada)
	if findings := sign.Profile(keys, p, sign.Policy{RequireBinding: true}); len(findings) != 0 {
		t.Errorf("a good profile has findings %v", findings)
	}

	stolen, _ := person(t, s, grace).Find("first_name")
	p.Set("first_name", stolen)
	p.Set("last_name", attribute(people.StringValue("unsigned")))
	cleared, _ := p.Find("tags")
	cleared.Value = people.NullValue(true)
	p.Set("tags", cleared)
	want := []sign.Finding{{"first_name", sign.ErrMoved}, {"last_name", sign.ErrUnsigned}, {"tags", sign.ErrMismatch}}
	got := sign.Profile(keys, p, sign.Policy{})
	if len(got) != len(want) {
		t.Fatalf("findings %v", got)
	}
	for i, f := range got {
		if f.Path != want[i].Path || !errors.Is(f.Err, want[i].Err) {
			t.Errorf("finding %v, want %v", f, want[i])
		}
	}

	p = person(t, s, ada)
	p.Set(people.UUID, attribute(people.NullValue(false)))
	if got := sign.Profile(keys, p, sign.Policy{}); len(got) != 6 {
		t.Errorf("a profile without uuid has findings %v, want all six bound attributes", got)
	}
}

// Whatever the input, Verify neither panics nor accepts anything but the one
// signature that was made.
func FuzzVerify(f *testing.F) {
	s, keys := signerOf(f, "k", edKey("ldap")), sign.Keys{people.LDAP: {keyOf(f, "k", edKey("ldap")), keyOf(f, "r", rsaKey())}}
	made := signed(f, s, people.LDAP, ada, "first_name", people.StringValue("Ada"))
	f.Add(made.Signature.Publisher.Value, string(made.AppendJSON(nil, false)))
	f.Add(forge(f, edKey("other"), "RS256", `{"alg":"RS256","typ":"JWT"}`, adaPayload).Value, adaPayload)
	f.Add("e30.e30.e30", "{}")
	f.Add("..", "")
	f.Fuzz(func(t *testing.T, jws, body string) {
		a, err := people.ParseAttribute([]byte(body))
		if err != nil {
			a = made
		}
		a.Signature.Publisher = people.Mark{Alg: "ED25519", Typ: "JWS", Name: "ldap", Value: jws}
		if err := sign.Verify(keys, ada, "first_name", a, sign.Policy{}); err == nil && jws != made.Signature.Publisher.Value {
			t.Error("accepted a signature that nobody made")
		}
	})
}
