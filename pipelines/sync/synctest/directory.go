package synctest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/sinks/keydir"
	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

// directoryWords is the file in which a story says in short what the people
// directory shows: a profile a line, {"user_id": …, "PATH": SAID, …}, where
// SAID is a text, a list of group names, a map, or, to say more,
//
//	{"value": …, "display": "staff", "verified": false, "by": "hris", "signature": "signed"}
//
// Without "by" the directory says so itself. A signature is "signed" (by the
// directory's own key), "forged" (by a key that is not the directory's) or
// "signed for USER_ID" (somebody else's attribute, moved here).
const directoryWords = "directory"

type said struct {
	Value     jsontext.Value `json:"value"`
	Display   *string        `json:"display"`
	Verified  *bool          `json:"verified"`
	By        string         `json:"by"`
	Signature string         `json:"signature"`
}

// WriteDirectory gives the people directory its file, from what it shows in
// short, as a story says it.
func (w *World) WriteDirectory(t testing.TB, short string) {
	t.Helper()
	w.Write(t, DirectoryFile, w.directory(t, short))
}

// directory writes out in full what a story says in short.
func (w *World) directory(t testing.TB, short string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(short) {
		var raw map[string]jsontext.Value
		if err := json.Unmarshal([]byte(line), &raw); err != nil { // a row that is no good is part of the story
			out.WriteString(line)
			continue
		}
		var userID string
		if err := json.Unmarshal(raw["user_id"], &userID); err != nil {
			t.Fatalf("directory: %v", err)
		}
		delete(raw, "user_id")
		p := &people.Profile{Schema: w.Catalogue.SchemaURI}
		p.Set(people.UserID, people.Attribute{Value: people.StringValue(userID), Metadata: people.Metadata{Classification: "PUBLIC", Verified: true}})
		for path, v := range raw {
			a, err := w.said(people.Path(path), v, userID)
			if err != nil {
				t.Fatalf("directory: %s: %s: %v", userID, path, err)
			}
			p.Set(people.Path(path), a)
		}
		out.Write(p.AppendJSON(nil))
		out.WriteByte('\n')
	}
	return out.String()
}

func (w *World) said(path people.Path, raw jsontext.Value, userID string) (people.Attribute, error) {
	s := said{Value: raw}
	if raw.Kind() == '{' {
		var more said
		if err := json.Unmarshal(raw, &more, json.RejectUnknownMembers(true)); err == nil && len(more.Value) > 0 {
			s = more
		}
	}
	a := w.Catalogue.Null(path)
	a.Signature.Publisher = people.Mark{Alg: "ED25519", Typ: "JWS", Name: string(people.Directory)}
	a.Metadata.Created, a.Metadata.LastModified = "2026-03-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"
	if s.By != "" {
		a.Signature.Publisher.Name = s.By
	}
	if s.Display != nil {
		a.Metadata.Display = *s.Display
	}
	if s.Verified != nil {
		a.Metadata.Verified = *s.Verified
	}
	var err error
	if a.Value, err = valueOf(s.Value); err != nil || s.Signature == "" {
		return a, err
	}
	dir, of := w.directoryKeys(), people.Directory
	switch {
	case s.Signature == "forged":
		dir, of = w.Job.Keys, people.LDAP
	case strings.HasPrefix(s.Signature, "signed for "):
		userID = strings.TrimPrefix(s.Signature, "signed for ")
	case s.Signature != "signed":
		return a, fmt.Errorf("no signature is called %q", s.Signature)
	}
	signers, err := keydir.Signers(dir)
	if err != nil {
		return a, err
	}
	id, _, err := normalize.ID(Salt, userID)
	if err != nil {
		return a, err
	}
	return sign.Attribute(context.Background(), signers[of], people.Directory, id, path, a)
}

func valueOf(raw jsontext.Value) (people.Value, error) {
	switch raw.Kind() {
	case '[':
		var keys []string
		err := json.Unmarshal(raw, &keys)
		var entries []people.Entry
		for _, k := range keys {
			entries = append(entries, people.Entry{Key: k})
		}
		return people.MapValue(entries...), err
	case '{':
		var m map[string]*string
		err := json.Unmarshal(raw, &m)
		var entries []people.Entry
		for k, v := range m {
			e := people.Entry{Key: k, Null: v == nil}
			if v != nil {
				e.Value = *v
			}
			entries = append(entries, e)
		}
		return people.MapValue(entries...), err
	case 't', 'f':
		return people.BoolValue(raw.Kind() == 't'), nil
	}
	var text string
	err := json.Unmarshal(raw, &text)
	return people.StringValue(text), err
}
