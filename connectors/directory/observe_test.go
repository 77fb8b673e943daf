package directory

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"example.org/cis/connectors/connectortest"
	"example.org/cis/connectors/directory/directorytest"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// whole is the mapping that is the default.
var whole = mapping{wholeGroups: true}

// claims maps the attributes, given as JSON, of a person without groups, and
// says in short what is claimed and what is set aside.
func claims(m mapping, check Check, attributes string) string {
	o, ok, aside := m.observe([]byte(`{"user_id":`+signedBy("access_provider", `"value":"github|1"`)+`,`+attributes+`}`), check)
	var got []string
	for _, c := range o.Claims {
		s := string(c.Path) + "=" + c.Value.String()
		if c.Empty {
			s = string(c.Path) + " empty"
		}
		if c.Display != "" {
			s += " " + c.Display
		}
		if c.Unverified {
			s += " unverified"
		}
		if c.Signed != nil {
			s += " signed"
		}
		got = append(got, s)
	}
	for _, r := range aside {
		if r.Record != "github|1" {
			got = append(got, "without a record")
		}
		got = append(got, fmt.Sprintf("%s %s: %s", r.Stage, r.Attribute, r.Reason))
	}
	if !ok {
		got = append(got, "set aside")
	}
	return strings.Join(got, "; ")
}

// signedBy is an attribute with the name of a publisher and no signature.
func signedBy(name, value string) string {
	return `{"signature":{"publisher":{"alg":"RS256","typ":"JWS","name":"` + name + `","value":""},"additional":[]},` +
		`"metadata":{"classification":"PUBLIC","last_modified":"2019-01-01T:10:00:00.000Z","created":null,"verified":true,"display":"staff"},` + value + `}`
}

func TestClaims(t *testing.T) {
	const none = "access_information.mozilliansorg empty"
	said := func(value string) string { return signedBy("mozilliansorg", value) }
	with := func(attribute, metadata string) string {
		return `"` + attribute + `":{"metadata":{` + metadata + `},"value":"bobby"}`
	}
	for name, c := range map[string]struct{ attributes, want string }{
		"said":                {`"first_name":` + said(`"value":"Ada"`), none + `; first_name="Ada" staff`},
		"by nobody":           {`"first_name":` + signedBy("", `"value":"Ada"`), none + `; first_name="Ada" staff`},
		"no signature":        {with("first_name", `"verified":true`), none + `; first_name="bobby"`},
		"unverified":          {with("first_name", `"verified":false,"display":"private"`), none + `; first_name="bobby" private unverified`},
		"no metadata":         {`"first_name":{"value":"Ada"},"last_name":{"metadata":{"display":"staff"},"value":"L"}`, none + `; observe first_name: the metadata do not say whether it is verified; observe last_name: the metadata do not say whether it is verified`},
		"container":           {`"identities":{"github_id_v3":` + said(`"value":"7"`) + `}`, none + `; identities.github_id_v3="7" staff`},
		"bool":                {`"staff_information":{"manager":` + said(`"value":true`) + `}`, none + `; staff_information.manager=true staff`},
		"map":                 {`"uris":` + said(`"values":{"EA#B":"b","EA#A":null}`), none + `; uris={"EA#A":null,"EA#B":"b"} staff`},
		"tidied":              {`"description":` + said(`"value":" A\r\nB "`), none + `; description="A\nB" staff`},
		"tidied map":          {`"tags":` + said(`"values":{" a ":" b "}`), none + `; tags={"a":"b"} staff`},
		"other's display":     {`"primary_email":` + said(`"value":"a@example.org"`), none + `; primary_email="a@example.org" staff`},
		"empty text":          {`"first_name":` + said(`"value":""`), none + `; first_name="" staff`},
		"empty map":           {`"tags":` + said(`"values":{}`), none + `; tags={} staff`},
		"null":                {`"first_name":` + said(`"value":null`) + `,"tags":` + said(`"values":null`), none},
		"null, odd display":   {`"first_name":{"metadata":{"display":"everyone"},"value":null}`, none},
		"null attribute":      {`"first_name":null,"identities":null,"staff_information":{"team":null}`, none},
		"echoes":              {`"first_name":` + signedBy("ldap", `"value":"A"`) + `,"usernames":` + signedBy("cis", `"values":{"LDAP-1":"x"}`) + `,"fun_title":` + signedBy("someone", `"value":"A"`), none},
		"echo with numbers":   {`"access_information":{"hris":` + signedBy("hris", `"values":{"employee_id":1337}`) + `}`, none},
		"echo, malformed":     {`"first_name":` + signedBy("ldap", `"value":["A"]`), none},
		"cis decides":         {`"uuid":` + said(`"value":"x"`) + `,"active":` + said(`"value":false`) + `,"created":` + said(`"value":"x"`) + `,"last_modified":` + said(`"value":["x"]`), none},
		"username":            {`"primary_username":` + said(`"value":"ada_l-1"`), none + `; primary_username="ada_l-1" staff`},
		"generated":           {`"primary_username":` + said(`"value":"r--AAAAAAAAQACAAAAAAAAAAA=="`), none},
		"generated, echo":     {`"primary_username":` + signedBy("cis", `"value":"r--x"`), none},
		"bad username":        {`"primary_username":` + said(`"value":"Ada"`), none + `; observe primary_username: not a username: want 2 to 64 of a-z, 0-9, _ and -`},
		"badly generated":     {`"primary_username":` + said(`"value":"r--ada"`), none + `; observe primary_username: not a username: want 2 to 64 of a-z, 0-9, _ and -`},
		"username with space": {`"primary_username":` + said(`"value":"ada "`), none + `; observe primary_username: not a username: want 2 to 64 of a-z, 0-9, _ and -`},
		"empty username":      {`"primary_username":` + said(`"value":""`), none + `; observe primary_username: not a username: want 2 to 64 of a-z, 0-9, _ and -`},
		"username of true":    {`"primary_username":` + said(`"value":true`), none + `; observe primary_username: not a username: want 2 to 64 of a-z, 0-9, _ and -`},
		"unknown display":     {with("first_name", `"verified":true,"display":"everyone"`), none + `; observe first_name: an unknown display`},
		"numbers":             {`"uris":` + said(`"values":{"a":1}`) + `,"tags":` + said(`"values":{"a":"b","c":false}`), none + `; observe tags: a map with something else than text and null in it; observe uris: a map with something else than text and null in it`},
		"number":              {`"first_name":` + said(`"value":1`), none + `; observe first_name: the value is not a string, a boolean or null`},
		"list":                {`"tags":` + said(`"values":["secret"]`), none + `; observe tags: the values are not a map of strings, or null`},
		"list in map":         {`"tags":` + said(`"values":{"secret":["secret"]}`), none + `; observe tags: the values are not a map of strings, or null`},
		"text as values":      {`"tags":` + said(`"values":"secret"`), none + `; observe tags: the values are not a map of strings, or null`},
		"map as value":        {`"tags":` + said(`"value":{"a":"b"}`), none + `; observe tags: the value is not a string, a boolean or null`},
		"value and values":    {`"tags":` + said(`"value":null,"values":{}`), none + `; observe tags: want exactly one of value and values`},
		"no value":            {`"tags":{"metadata":{}}`, none + `; observe tags: want exactly one of value and values`},
		"unknown field":       {`"tags":{"value":"a","secret":1}`, none + `; observe tags: not an attribute, or with a field that none has`},
		"unknown metadata":    {with("first_name", `"secret":1`), none + `; observe first_name: the metadata are malformed`},
		"verified is text":    {with("first_name", `"verified":"secret"`), none + `; observe first_name: the metadata are malformed`},
		"bad signature":       {`"first_name":{"signature":{"publisher":{"secret":1}},"value":"A"}`, none + `; observe first_name: the signature is malformed`},
		"signature is text":   {`"first_name":{"signature":"secret","value":"A"}`, none + `; observe first_name: the signature is malformed`},
		"name in it twice":    {`"tags":` + said(`"values":{"secret":"a","secret":"b"}`), none + `; observe tags: a name that is there twice`},
		"not Unicode":         {`"first_name":` + said("\"value\":\"\xff\""), none + `; observe first_name: text that is not Unicode`},
		"surrogate":           {`"first_name":` + said(`"value":"\ud800"`), none + `; observe first_name: text that is not Unicode`},
		"control character":   {`"first_name":` + said(`"value":"A\u0000"`), none + `; observe first_name: too long, with control characters, or with a name that is empty or there twice`},
		"long":                {`"first_name":` + said(`"value":"`+strings.Repeat("x", 17<<10)+`"`), none + `; observe first_name: too long, with control characters, or with a name that is empty or there twice`},
		"no name in map":      {`"tags":` + said(`"values":{" ":""}`), none + `; observe tags: too long, with control characters, or with a name that is empty or there twice`},
		"names fall together": {`"tags":` + said(`"values":{"a":"","a ":""}`), none + `; observe tags: too long, with control characters, or with a name that is empty or there twice`},
		"attribute twice":     {`"tags":` + said(`"values":{}`) + `,"tags":` + said(`"values":{"a":""}`) + `,"uris":` + said(`"values":{}`), none + `; uris={} staff; observe tags: a name that is there twice`},
		"container twice": {`"identities":{"github_id_v3":` + said(`"value":"7"`) + `},"identities":{"github_id_v4":` + said(`"value":"7"`) + `}`,
			none + `; observe identities: a name that is there twice; observe identities.github_id_v3: a name that is there twice; observe identities.github_id_v4: a name that is there twice`},
		"twice in container":  {`"identities":{"custom_1_primary_email":null,"custom_1_primary_email":` + said(`"value":"7"`) + `}`, none + `; observe identities.custom_1_primary_email: a name that is there twice`},
		"no attribute":        {`"first_name":"secret","last_name":["secret"],"pronouns":7`, none + `; observe first_name: not a JSON object; observe last_name: not a JSON object; observe pronouns: not a JSON object`},
		"no container":        {`"identities":{"github_id_v3":"secret"}`, none + `; observe identities.github_id_v3: not an attribute, or with a field that none has`},
		"no name":             {`"secret@example.org":{"value":"secret"},"":{}`, none + `; observe ?: a name that no attribute can have`},
		"no name inside":      {`"identities":{"secret@example.org":{"value":"secret"},"github_id_v3":` + said(`"value":"7"`) + `}`, none + `; identities.github_id_v3="7" staff; observe identities: a name that no attribute can have`},
		"inside an attribute": {`"identities":{"value":"a","github_id_v3":` + said(`"value":"7"`) + `}`, none + `; observe identities: not an attribute, or with a field that none has`},
		"schema":              {`"schema":7`, none},
		"two names, one path": {`"a":{"b":` + said(`"value":"1"`) + `},"a_b":` + said(`"value":"2"`), `a.b="1" staff; a_b="2" staff; ` + none},
	} {
		if got := claims(whole, nil, c.attributes); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

// TestGroups is about what a profile says of groups, and when it says that
// there are none.
func TestGroups(t *testing.T) {
	const path = "access_information.mozilliansorg"
	groups := func(attribute string) string { return `"access_information":{"mozilliansorg":` + attribute + `}` }
	for name, c := range map[string]struct{ attributes, whole, part string }{
		"some":            {groups(signedBy("mozilliansorg", `"values":{"nda":"","iam_project":null}`)), path + `={"iam_project":null,"nda":""} staff`, path + `={"iam_project":null,"nda":""} staff`},
		"none":            {groups(signedBy("mozilliansorg", `"values":{}`)), path + `={} staff`, path + `={} staff`},
		"null":            {groups(signedBy("mozilliansorg", `"values":null`)), path + " empty", ""},
		"null attribute":  {groups(`null`), path + " empty", ""},
		"null of another": {groups(signedBy("cis", `"values":null`)), path + " empty", ""},
		"left out":        {`"access_information":{"ldap":` + signedBy("ldap", `"values":{"a":null}`) + `}`, path + " empty", ""},
		"no container":    {`"schema":""`, path + " empty", ""},
		"null container":  {`"access_information":null`, path + " empty", ""},
		"empty container": {`"access_information":{}`, path + " empty", ""},
		"an echo":         {groups(signedBy("cis", `"values":{"nda":""}`)), "", ""},
		"malformed":       {groups(`{"values":7}`), "observe " + path + ": the values are not a map of strings, or null", "observe " + path + ": the values are not a map of strings, or null"},
		"no map":          {groups(`{"metadata":{"verified":true},"value":"nda"}`), "observe " + path + ": groups that are no map", "observe " + path + ": groups that are no map"},
		"container wrong": {`"access_information":[]`, "observe access_information: not a JSON object", "observe access_information: not a JSON object"},
		"container twice": {`"access_information":{},"access_information":{}`, "observe access_information: a name that is there twice", "observe access_information: a name that is there twice"},
	} {
		if got := claims(whole, nil, c.attributes); got != c.whole {
			t.Errorf("%s, whole: got %s, want %s", name, got, c.whole)
		}
		if got := claims(mapping{}, nil, c.attributes); got != c.part {
			t.Errorf("%s, not whole: got %s, want %s", name, got, c.part)
		}
	}
}

func TestRecords(t *testing.T) {
	many := `{"user_id":{"value":"github|1"}`
	for i := range maxAttributes {
		many += fmt.Sprintf(`,"a%d":{"value":"secret"}`, i)
	}
	for profile, want := range map[string]string{
		`{"user_id":{"value":"github|1"}}`: "github|1",
		// Whatever else is wrong with it, it is somebody's.
		`{"user_id":{"value":"github|1","metadata":7}}`:                   "github|1",
		`{"user_id":{"value":" ad|x|Ádá "}}`:                              "ad|x|Ádá",
		`{"user_id":{"value":"github"}}`:                                  "observe : no user_id, or one that is none",
		`{"user_id":{"value":null}}`:                                      "observe : no user_id, or one that is none",
		`{"user_id":{"value":7}}`:                                         "observe : no user_id, or one that is none",
		`{"user_id":{"value":"github|1","value":"github|2"}}`:             "observe : no user_id, or one that is none",
		`{"user_id":{"value":"github|1"},"user_id":{"value":"github|1"}}`: "observe : no user_id, or one that is none",
		`{"user_id":"github|1"}`:                                          "observe : no user_id, or one that is none",
		"{\"user_id\":{\"value\":\"github|\xff\"}}":                       "observe : no user_id, or one that is none",
		`{}`:                                 "observe : no user_id, or one that is none",
		`null`:                               "read : not a JSON object",
		`[{"user_id":{"value":"github|1"}}]`: "read : not a JSON object",
		``:                                   "read : not JSON",
		`{"user_id":{"value":"github|1"}`:    "read github|1: not JSON",
		`{"user_id":{"value":"github|1"},"first_name":{"value":"secret`:               "read github|1: not JSON",
		`{"user_id":{"value":"github|1"},"user_id":{"value":"github|2"},"first_name"`: "read : not JSON",
		`{"user_id":{"value":"github|1"}}{}`:                                          "read github|1: not JSON",
		many + `}`:                                                                    "read github|1: more than 256 attributes",
	} {
		o, ok, aside := whole.observe([]byte(profile), nil)
		got := o.Record
		if !ok {
			if len(aside) != 1 || aside[0].Attribute != "" {
				t.Errorf("%.60q: set aside with %v", profile, aside)
				continue
			}
			got = aside[0].Stage + " " + aside[0].Record + ": " + aside[0].Reason
		}
		if got != want {
			t.Errorf("%.60q: got %s, want %s", profile, got, want)
		}
	}
}

// TestUserID: the id is a claim only where the directory says who may see it.
func TestUserID(t *testing.T) {
	for attribute, want := range map[string]bool{
		`{"value":"github|1"}`:                            false,
		signedBy("", `"value":"github|1"`):                false,
		signedBy("access_provider", `"value":"github|1"`): false,
		signedBy("mozilliansorg", `"value":"github|1"`):   true,
	} {
		o, ok, aside := whole.observe([]byte(`{"user_id":`+attribute+`}`), nil)
		if _, got := o.Claim(people.UserID); !ok || got != want || len(aside) > 0 {
			t.Errorf("%s: %v, claimed %v, set aside %v", attribute, ok, got, aside)
		}
	}
}

func TestFits(t *testing.T) {
	m := whole
	m.fits = func(path people.Path, a people.Attribute) error {
		if path == "first_name" && a.Value.Kind() != people.String {
			return errors.New("the value is not a string")
		}
		return nil
	}
	const want = `access_information.mozilliansorg empty; last_name=true staff; observe first_name: the value is not a string`
	if got := claims(m, nil, `"first_name":`+signedBy("", `"value":true`)+`,"last_name":`+signedBy("", `"value":true`)); got != want {
		t.Errorf("got %s", got)
	}
}

// TestDisplays holds the displays against those of the catalogue, which a
// connector may not import.
func TestDisplays(t *testing.T) {
	want := slices.Sorted(slices.Values(catalogue.Displays()))
	if got := slices.Sorted(slices.Values(displays)); !slices.Equal(got, want) {
		t.Errorf("displays %q, want %q", got, want)
	}
}

// The people and the keys of the signatures.
var (
	adaID  = people.ID{1}
	bobID  = people.ID{2}
	theirs = signer("theirs", 1)
	forged = signer("theirs", 2)
)

func signer(kid string, seed byte) sign.Signer {
	s, err := sign.NewSigner(kid, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)))
	if err != nil {
		panic(err)
	}
	return s
}

// verify checks as the program does, with the key of theirs.
func verify(policy sign.Policy) Check {
	public := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)).Public()
	key, err := sign.NewKey("theirs", public)
	if err != nil {
		panic(err)
	}
	keys := sign.Keys{people.Directory: {key}}
	return func(person people.ID, path people.Path, a people.Attribute) error {
		return sign.Verify(keys, person, path, a, policy)
	}
}

// signed is an attribute that s signed in somebody's name for a person.
func signed(t *testing.T, s sign.Signer, name people.Publisher, id people.ID, path people.Path, v people.Value) people.Attribute {
	t.Helper()
	a, err := sign.Attribute(t.Context(), s, name, id, path, directorytest.Said(path, v).Attribute)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestSigned(t *testing.T) {
	const none = "access_information.mozilliansorg empty"
	const at = people.Path("first_name")
	text := people.StringValue("Ada")
	good := signed(t, theirs, people.Directory, adaID, at, text)
	older := good
	older.Signature.Publisher.Value = unbound(older)
	changed := good
	changed.Value = people.StringValue("Eve")
	renamed := good
	renamed.Signature.Publisher.Name = ""
	widened := good
	widened.Metadata.Display = "public"
	redated := good
	redated.Metadata.LastModified = "2026-03-02T08:00:00Z"
	for name, c := range map[string]struct {
		a      people.Attribute
		person people.ID // whose uuid stands in the profile
		want   string
	}{
		"signed":                    {good, adaID, none + `; first_name="Ada" staff signed`},
		"a date written otherwise":  {redated, adaID, none + `; first_name="Ada" staff signed`},
		"not tidy":                  {signed(t, theirs, people.Directory, adaID, at, people.StringValue(" Ada ")), adaID, none + `; first_name=" Ada " staff signed`},
		"empty":                     {signed(t, theirs, people.Directory, adaID, at, people.StringValue("")), adaID, none + `; first_name="" staff signed`},
		"by another":                {signed(t, theirs, people.LDAP, adaID, at, text), adaID, none},
		"forged":                    {signed(t, forged, people.Directory, adaID, at, text), adaID, none + `; verify first_name: sign: signature by none of the publisher's keys`},
		"changed":                   {changed, adaID, none + `; verify first_name: sign: attribute differs from what was signed: value`},
		"another display":           {widened, adaID, none + `; verify first_name: sign: attribute differs from what was signed: display`},
		"moved from another person": {good, bobID, none + `; verify first_name: sign: signed for another place: another person`},
		"bound, without a uuid":     {good, people.ID{}, none + `; verify first_name: sign: signed for another place: another person`},
		"moved from elsewhere":      {signed(t, theirs, people.Directory, adaID, "last_name", text), adaID, none + `; verify first_name: sign: signed for another place: another attribute`},
		"without a publisher":       {renamed, adaID, none + `; verify first_name: a signature that names no publisher`},
		"without binding":           {older, people.ID{}, none + `; first_name="Ada" staff signed`},
	} {
		uuid := "null"
		if !c.person.IsZero() {
			uuid = `{"value":"` + c.person.String() + `"}`
		}
		profile := `"uuid":` + uuid + `,"first_name":` + string(c.a.AppendJSON(nil, true))
		if got := claims(whole, verify(sign.Policy{}), profile); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
		o, _, _ := whole.observe([]byte(`{"user_id":{"value":"github|1"},`+profile+`}`), verify(sign.Policy{}))
		if claim, ok := o.Claim(at); ok && !claim.Signed.Equal(c.a) {
			t.Errorf("%s: not verbatim", name)
		}
	}
	profile := `"uuid":{"value":"` + adaID.String() + `"},"first_name":` + string(good.AppendJSON(nil, true)) + `,"last_name":` + signedBy("", `"value":"L"`)
	const want = none + `; last_name="L" staff; verify first_name: there are no keys to verify it with`
	if got := claims(whole, nil, profile); got != want {
		t.Errorf("without keys: got %s", got)
	}
}

// unbound is a signature by theirs that names no place, as those of the older
// system.
func unbound(a people.Attribute) string {
	b64 := base64.RawURLEncoding
	input := b64.EncodeToString([]byte(`{"alg":"EdDSA","typ":"JWT"}`)) + "." + b64.EncodeToString(a.AppendJSON(nil, false))
	return input + "." + b64.EncodeToString(ed25519.Sign(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)), []byte(input)))
}

// TestVerify is about where the keys come from.
func TestVerify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.json")
	groups := signed(t, theirs, people.Directory, adaID, groups, people.MapValue(people.Entry{Key: "nda"}))
	profile := directorytest.Profile("github|1", directorytest.By(people.CIS, people.UUID, people.StringValue(adaID.String())),
		people.Named{Path: "access_information.mozilliansorg", Attribute: groups})
	if err := os.WriteFile(path, profile, 0o600); err != nil {
		t.Fatal(err)
	}
	reads := 0
	o := Options{Verify: func(context.Context) (Check, error) { reads++; return verify(sign.Policy{RequireBinding: true}), nil }}
	s := open(t, Config{Name: "d", File: path}, o)
	cert, out := extract(t, s)
	if c, ok := out.Observations[0].Claim("access_information.mozilliansorg"); !cert.Complete || !ok || c.Signed == nil || len(out.Rejections) > 0 {
		t.Errorf("reason %q, %v, rejections %v", cert.Reason, out.Observations, out.Rejections)
	}
	found, err := s.Find(t.Context(), people.Key{Scheme: people.ByUserID, Value: "github|1"})
	if c, ok := found.Claim("access_information.mozilliansorg"); err != nil || !ok || c.Signed == nil {
		t.Errorf("found %v, %v", found, err)
	}
	if reads != 2 {
		t.Errorf("keys were read %d times", reads)
	}
	o.Verify = func(context.Context) (Check, error) { return nil, errors.New("the secret place of keys") }
	s = open(t, Config{Name: "d", File: path}, o)
	cert, out = extract(t, s)
	if cert.Complete || !strings.Contains(cert.Reason, "keys could not be read") || strings.Contains(cert.Reason, "secret") || len(out.Observations) > 0 {
		t.Errorf("complete %v, reason %q", cert.Complete, cert.Reason)
	}
	if _, err := s.Find(t.Context(), people.Key{Scheme: people.ByUserID, Value: "github|1"}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("found with %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.Verify = func(context.Context) (Check, error) { cancel(); return nil, ctx.Err() }
	if _, err := open(t, Config{Name: "d", File: path}, o).Extract(ctx, &connectortest.Recorder{}); err != context.Canceled {
		t.Errorf("cancelled while keys are read: %v", err)
	}
}

// TestOneBadAttribute puts anything in the place of one attribute: the others
// say what they said.
func TestOneBadAttribute(t *testing.T) {
	names := []string{"first_name", "last_name", "tags", "uris", "identities", "staff_information", "access_information"}
	rapid.Check(t, func(t *rapid.T) {
		members := map[string]string{}
		for _, n := range names {
			members[n] = rapid.SampledFrom([]string{
				signedBy("", `"value":"x"`), `{"metadata":{"verified":false},"values":{"a":"b"}}`, `{"value":null}`, `null`,
				`{"custom":` + signedBy("", `"value":"y"`) + `}`, signedBy("ldap", `"value":"z"`), signedBy("mozilliansorg", `"values":{}`),
			}).Draw(t, n)
		}
		observe := func() (people.Observation, bool) {
			raw := `{"user_id":{"value":"github|1"}`
			for _, n := range names {
				raw += `,"` + n + `":` + members[n]
			}
			o, ok, _ := whole.observe([]byte(raw+`}`), nil)
			return o, ok
		}
		before, _ := observe()
		bad := rapid.SampledFrom(names).Draw(t, "bad")
		members[bad] = rapid.SampledFrom([]string{
			`7`, `[]`, `"x"`, `{"value":7}`, `{"value":"x","value":"y"}`, `{"value":"x"},"` + bad + `":{"value":"y"}`, `{"values":{"a":1}}`,
			`{"value":"x","a":{}}`, `{"custom":{"value":"x"},"custom":{}}`, `{"é":{"value":"x"}}`, "{\"value\":\"\xff\"}", `{"signature":7,"value":"x"}`,
		}).Draw(t, "with")
		after, ok := observe()
		others := func(o people.Observation) []people.Claim {
			return slices.DeleteFunc(slices.Clone(o.Claims), func(c people.Claim) bool {
				container, name := c.Path.Split()
				return name == bad || container == bad
			})
		}
		if !ok || !slices.EqualFunc(others(before), others(after), people.Claim.Same) {
			t.Fatalf("%s: %s\n before %v\n after %v", bad, members[bad], before.Claims, after.Claims)
		}
	})
}

// FuzzProfile observes anything: it never panics, what it gives is well
// formed, and a profile that is read whole gives what it says.
func FuzzProfile(f *testing.F) {
	for _, s := range append(slices.Clone(wrong), one, two, `{"user_id":{"value":"a|b"},"a":{"b":{"metadata":{"verified":true},"value":"c"}},"a":null}`, `{"user_id":`+signedBy("ldap", `"value":"a|b"`)+`,"tags":`+signedBy("", `"values":{"a":"b"}`)+`}`) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, ok, aside := whole.observe(bytes.Clone(raw), nil)
		if !ok && (len(aside) != 1 || aside[0].Attribute != "" || aside[0].Reason == "" || o.Record != "") {
			t.Fatalf("set aside with %v", aside)
		}
		for _, r := range aside {
			if r.Reason == "" || r.Stage == "" || ok && (r.Attribute == "" || r.Record != o.Record) {
				t.Fatalf("rejection %+v", r)
			}
		}
		for i, c := range o.Claims {
			if c.Empty != c.Value.IsNull() || i > 0 && o.Claims[i-1].Path >= c.Path || c.Signed != nil {
				t.Fatalf("claim %+v", c)
			}
		}
		if !ok {
			return
		}
		if b, err := json.Marshal(&o); err != nil || !jsontext.Value(b).IsValid() {
			t.Fatalf("not to be written: %v", err)
		}
		p, err := people.ParseProfile(raw)
		if err != nil {
			return
		}
		for _, c := range o.Claims {
			a, found := p.Find(c.Path)
			if tidied, ok := tidy(a.Value); !c.Empty && (!found || !ok || !tidied.Equal(c.Value)) || c.Empty && !a.Value.IsNull() {
				t.Fatalf("claim %s is not what the profile says", c.Path)
			}
		}
	})
}

// FuzzFile reads anything: what is taken for whole gives out every profile,
// and lists are not whole without their last byte.
func FuzzFile(f *testing.F) {
	for _, s := range []string{page(one, two), "[" + one + "]", one + "\n" + two + "\n", `{"Items":[],"nextPage":"x"}`, "[", "\n", `{"nextPage":null,"Items":[1,[{}],null]}`, one + "\n{\n"} {
		f.Add([]byte(s))
	}
	read := func(content []byte) (n int, end string, err error) {
		end, err = read(bytes.NewReader(content), "p", func(entry) error { n++; return nil })
		return n, end, err
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		n, end, err := read(content)
		if err != nil {
			if ours := fault(""); !errors.As(err, &ours) || ours == "" {
				t.Errorf("error %v is no fault", err)
			}
			return
		}
		if lines := bytes.Count(content, []byte("\n")) + 1; strings.HasSuffix(end, "line") {
			if n > lines {
				t.Errorf("%d profiles in %d lines", n, lines)
			}
			return
		}
		content = bytes.TrimRight(content, " \t\r\n")
		if _, _, err := read(content[:len(content)-1]); err == nil {
			t.Error("whole without its last byte")
		}
	})
}
