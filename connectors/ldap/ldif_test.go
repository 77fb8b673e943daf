package ldap

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
	"pgregory.net/rapid"
)

// What is written as LDIF is read as it was, however it is folded.
func TestLDIFReadsWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type attribute struct{ name, value string }
		eol := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "eol")
		var b strings.Builder
		write := func(name, value string) {
			line := name + ": " + value
			if strings.Trim(value, " :<") != value || strings.ContainsAny(value, "\x00\r\n") || rapid.Bool().Draw(t, "encode") {
				line = name + ":: " + base64.StdEncoding.EncodeToString([]byte(value))
			}
			for width := rapid.IntRange(1, 80).Draw(t, "width"); len(line) > width; line = line[width:] {
				b.WriteString(line[:width] + eol + " ")
			}
			b.WriteString(line + eol)
		}
		var want [][]attribute
		for range rapid.IntRange(1, 4).Draw(t, "records") {
			rec := []attribute{{"dn", "cn=x"}}
			for range rapid.IntRange(0, 5).Draw(t, "attributes") {
				rec = append(rec, attribute{rapid.StringMatching(`[a-z][a-z0-9-]{0,6}`).Draw(t, "name"), rapid.String().Draw(t, "value")})
			}
			if slices.ContainsFunc(rec[1:], func(a attribute) bool {
				return a.name == "dn" || a.name == "control" || a.name == "changetype"
			}) {
				continue
			}
			for i, a := range rec {
				if i > 0 && rapid.Bool().Draw(t, "comment") {
					b.WriteString("# no" + eol + "  value" + eol)
				}
				write(a.name, a.value)
			}
			b.WriteString(eol)
			want = append(want, rec)
		}
		p := newLDIFParser(slowReader{strings.NewReader(b.String())}, "f", nil)
		for _, rec := range want {
			e, err := p.next()
			if err != nil || e.fault != "" {
				t.Fatalf("error %v, fault %q in\n%s", err, e.fault, b.String())
			}
			values := map[string][]string{}
			for _, a := range rec[1:] {
				values[a.name] = append(values[a.name], a.value)
			}
			if e.dn != rec[0].value || fmt.Sprint(values) != fmt.Sprint(e.values) {
				t.Fatalf("got %q, want %q", e.values, values)
			}
		}
		if _, err := p.next(); err != io.EOF {
			t.Fatalf("at the end: %v", err)
		}
		if p.bytes != int64(b.Len()) {
			t.Fatalf("%d bytes read, want %d", p.bytes, b.Len())
		}
	})
}

// slowReader gives a few bytes at a time.
type slowReader struct{ r io.Reader }

func (r slowReader) Read(b []byte) (int, error) { return r.r.Read(b[:min(len(b), 7)]) }

// Nothing that is read as LDIF stops the parser or the step to observations,
// which say something of every record.
func FuzzLDIF(f *testing.F) {
	for _, s := range []string{
		"version: 1\ndn: uid=a,o=com\nobjectClass: inetOrgPerson\nuid: a\n\n", "dn:: dWlkPWE=\r\nuid:: YQ==\r\n", "dn: cn=g\nmember: uid=a\n o\n",
		"\ufeffdn:\n", "# c\n d\n\n ", "dn: a=b\nchangetype: add\n", "dn: a=\\zz\nuid:< file:///x\n", "::\n", "dn: uid=a+cn=\\2C\nuid;x: b\n",
	} {
		f.Add([]byte(s))
	}
	o, err := newObserver(Config{Name: "f", File: "f"}.withDefaults())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		p := newLDIFParser(bytes.NewReader(content), "f", nil)
		g := newGroups()
		var entries []*entry
		for {
			e, err := p.next()
			if err != nil {
				break
			}
			entries = append(entries, e)
			g.add(e) // an error says that it is no good group
		}
		if p.bytes > int64(len(content)) {
			t.Errorf("%d bytes read of %d", p.bytes, len(content))
		}
		g.link()
		for _, e := range entries {
			obs, aside, ok := o.observe(e, g)
			if !ok && len(aside) == 0 || ok && obs.Record == "" || ok && e.fault != "" {
				t.Errorf("ok %v, record %q, fault %q, %d rejections", ok, obs.Record, e.fault, len(aside))
			}
		}
	})
}

// Nothing that go-ldap takes for a filter stops ours.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{"(a=b)", "(&(a=*)(!(b=c*d*e)))", "(|)", "(!(a=))", "(a:dn:=x)", "(a~=b)", "(a=*\\2a*)"} {
		f.Add(s)
	}
	e := &entry{dn: "a=b", values: map[string][]string{"a": {"b", ""}, "b": {"cde"}, "objectclass": {"person"}}}
	f.Fuzz(func(t *testing.T, text string) {
		if m, err := parseFilter(text); err == nil {
			m.match(e)
		}
	})
}

// Of attributes with options only the plain ones count; a server that splits
// the values of an attribute over several answers has not given them all.
func TestServerAttributeOptions(t *testing.T) {
	s := &server{host: "ldap.example.org"}
	e, err := s.entry(ldap.NewEntry("cn=g", map[string][]string{"SN": {"a"}, "sn;lang-de": {"b"}, "userCertificate;binary": {"c"}}))
	if err != nil || fmt.Sprint(e.values) != "map[sn:[a]]" {
		t.Errorf("got %v, %v", e, err)
	}
	if _, err := s.entry(ldap.NewEntry("cn=g", map[string][]string{"member": nil, "member;range=0-1499": {"cn=x"}})); err == nil {
		t.Error("a range of values: no error")
	}
}
