package people_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"example.org/cis/transforms/people"
)

func moments() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(0, 1e9).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds")).UTC()
	})
}

func operations() *rapid.Generator[people.Operation] {
	content := func(t *rapid.T) people.Content { return people.ContentOf(attributes().Draw(t, "content")) }
	change := rapid.Custom(func(t *rapid.T) people.Change {
		c := people.Change{Path: people.Path(texts().Draw(t, "path")), Old: content(t), New: content(t), Publisher: "ldap", Rule: texts().Draw(t, "rule"), Since: moments().Draw(t, "since")}
		if rapid.Bool().Draw(t, "is signed") {
			a := attributes().Draw(t, "signed")
			c.Signed = &a
		}
		return c
	})
	return rapid.Custom(func(t *rapid.T) people.Operation {
		return people.Operation{Class: people.Update, Source: "hris", Changes: lists(t, change)}
	})
}

// lists draws nil, an empty list or a list: json writes them in three ways.
func lists[T any](t *rapid.T, of *rapid.Generator[T]) []T {
	if rapid.Bool().Draw(t, "nil") {
		return nil
	}
	return rapid.SliceOfN(of, 0, 2).Draw(t, "list")
}

// What is appended is what json.Marshal says, for every document.
func TestAppendIsMarshal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := observations().Draw(t, "observation")
		for i := range o.Claims {
			o.Claims[i].Since = moments().Draw(t, "since")
		}
		if rapid.Bool().Draw(t, "bare") {
			o.Keys, o.Claims, o.SeenAt, o.Place = nil, nil, time.Time{}, ""
		}
		cleared := rapid.Custom(func(t *rapid.T) people.Cleared {
			return people.Cleared{Path: "a", Publisher: "ldap", At: moments().Draw(t, "at")}
		})
		flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
		p := people.Proposal{Base: rapid.Int64().Draw(t, "base"), Operations: lists(t, operations()), Noted: flag("noted"), Reindex: flag("reindex"),
			Evidence: people.Evidence{Observations: lists(t, rapid.Just(o)), Former: lists(t, texts()), Cleared: lists(t, cleared)}}
		copy(p.Person[:], rapid.SliceOfN(rapid.Byte(), 0, 16).Draw(t, "id"))
		r := people.Revision{Number: p.Base, RecordedAt: moments().Draw(t, "recorded"), Operations: p.Operations,
			Cause: people.Cause{Run: texts().Draw(t, "run"), Door: texts().Draw(t, "door"), Reason: texts().Draw(t, "reason"), By: texts().Draw(t, "by")}}
		for _, doc := range []interface{ AppendJSON([]byte) []byte }{&p, &r, &p.Evidence, &o} {
			want, err := json.Marshal(doc, json.Deterministic(true))
			if err != nil {
				t.Fatal(err)
			}
			if got := doc.AppendJSON(nil); string(got) != string(want) {
				t.Fatalf("%T: got\n%s\nwant\n%s", doc, got, want)
			}
		}
		reads(t, p.AppendJSON(nil), people.ParseProposal)
		reads(t, append(p.Evidence.AppendJSON(nil), '\n'), people.ParseEvidence)
		reads(t, o.AppendJSON(nil), people.ParseObservation)
	})
}

// reads checks that parse reads what json.Unmarshal does.
func reads[T any](t interface{ Fatalf(string, ...any) }, b []byte, parse func([]byte) (T, error)) {
	var want T
	wantErr := json.Unmarshal(b, &want)
	got, err := parse(b)
	if (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(got, want) {
		t.Fatalf("%s\ngot %+v, %v\nwant %+v, %v", b, got, err, want, wantErr)
	}
}

func FuzzParseProposal(f *testing.F) {
	for _, s := range []string{
		`{"person":"","base":0,"evidence":{}}`,
		`{"person":"0009c0cb-7a46-50c8-8c46-2597e6c1a7b2","base":-1,"operations":[{"class":"create","source":"ldap","changes":[{"path":"a","old":{"value":null,"verified":true},` +
			`"new":{"value":{"k":"v","l":null},"display":"staff","verified":false},"publisher":"ldap","rule":"creator","since":"2026-03-02T06:00:00Z"}]}],"evidence":{},"noted":true,"reindex":true}` + "\n",
		`{"person":"","base":1,"operations":[],"evidence":{"observations":[{"publisher":"hris","record":"\"\\","keys":[{"scheme":"email","value":"é"}],"lifecycle":"present",` +
			`"claims":[{"path":"a","empty":true,"value":[],"unverified":true,"since":"2026-03-02T06:00:00.5Z"},{"path":"b","value":true},{"path":"c","value":"\u0041"}],"seen_at":"2026-03-02T06:00:00+01:00","place":"x"}],` +
			`"former":["a"],"cleared":[{"path":"a","publisher":"ldap","at":"2026-03-02T06:00:00Z"}]}}`,
		`{"person":"","base":0,"evidence":{"cleared":[{"path":"a","publisher":"ldap","at":""}]}}`,
		`{"person":"","base":0,"evidence":{"cleared":[{"path":"a","publisher":"ldap","at":"0000-01-01T0:00:00Z"}]}}`,
		`{"person":"","base":01,"evidence":{}}`, `{"person":"","base":0,"evidence":{"former":[,]}}`, `{"person":"","base":0,"evidence":{"former":["a",]}}`, `{,"person":""}`,
		`{"person":"","base":0,"evidence":{"former":["\`, `{"person":"","base":0,"evidence":{}}}`, ` {"base":0}`, `{"base":"0"}`,
		`{"person":"","base":0,"operations":[{"class":"","source":"","changes":[{"path":"","old":{"value":{"b":"","a":""},"verified":true},"new":{"value":{"a":"","a":""},"verified":true},"publisher":"","rule":""}]}],"evidence":{}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { reads(t, b, people.ParseProposal) })
}

// Every character in every place of a text is written as jsontext writes it.
func TestAppendQuoted(t *testing.T) {
	for _, c := range []string{"\x00", "\x1f", " ", "!", "\"", "#", "[", "\\", "]", "~", "\x7f", "\u0080", "\u00a0", "é", "\U0010FFFF"} {
		for before := range 18 {
			for after := range 10 {
				s := strings.Repeat("a", before) + c + strings.Repeat("~", after)
				want, err := jsontext.AppendQuote(nil, s)
				if got := people.AppendQuoted(nil, s); string(got) != string(want) || err != nil {
					t.Errorf("%q: %s, want %s, %v", s, got, want, err)
				}
			}
		}
	}
}

func BenchmarkAppendQuoted(b *testing.B) {
	for _, n := range []int{12, 700} {
		s := strings.Repeat("eyJhbGci", n)[:n]
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			var buf []byte
			for b.Loop() {
				buf = people.AppendQuoted(buf[:0], s)
			}
		})
	}
}
