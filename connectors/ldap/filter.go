package ldap

import (
	"fmt"
	"slices"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// A filter evaluates a filter of RFC 4515 on an entry, as a server would: for
// files, which have no server. It knows and, or, not, presence, equality and
// substrings; texts compare without case, DNs in normal form.
type filter struct {
	match func(*entry) bool
	names []string // attributes that it looks at, lower-case
}

// dnValued are the attributes in common use whose values are DNs.
var dnValued = []string{"member", "memberof", "uniquemember", "manager", "owner", "seealso", "secretary"}

// superiors are the classes that an entry of a class has too. Servers match
// them whether the entry lists them or not (RFC 4512 section 3.3).
var superiors = map[string][]string{
	"inetorgperson":        {"organizationalperson", "person", "top"},
	"organizationalperson": {"person", "top"},
	"person":               {"top"},
}

func parseFilter(text string) (filter, error) {
	p, err := ldap.CompileFilter(text)
	if err != nil {
		return filter{}, err
	}
	var f filter
	f.match, err = f.compile(p)
	return f, err
}

func (f *filter) compile(p *ber.Packet) (func(*entry) bool, error) {
	switch p.Tag {
	case ldap.FilterAnd, ldap.FilterOr, ldap.FilterNot:
		parts := make([]func(*entry) bool, len(p.Children))
		for i, c := range p.Children {
			var err error
			if parts[i], err = f.compile(c); err != nil {
				return nil, err
			}
		}
		tag := p.Tag
		return func(e *entry) bool {
			switch tag {
			case ldap.FilterAnd:
				return !slices.ContainsFunc(parts, func(m func(*entry) bool) bool { return !m(e) })
			case ldap.FilterOr:
				return slices.ContainsFunc(parts, func(m func(*entry) bool) bool { return m(e) })
			}
			return !parts[0](e)
		}, nil
	case ldap.FilterPresent:
		n := f.name(p)
		return func(e *entry) bool { return len(e.values[n]) > 0 }, nil
	case ldap.FilterEqualityMatch:
		n := f.name(p.Children[0])
		norm := fold
		if slices.Contains(dnValued, n) {
			norm = normalDN
		}
		want := norm(p.Children[1].Data.String())
		return func(e *entry) bool {
			return slices.ContainsFunc(e.values[n], func(v string) bool {
				v = norm(v)
				return v == want || n == "objectclass" && slices.Contains(superiors[v], want)
			})
		}, nil
	case ldap.FilterSubstrings:
		n := f.name(p.Children[0])
		parts := p.Children[1].Children
		return func(e *entry) bool {
			return slices.ContainsFunc(e.values[n], func(v string) bool { return substrings(strings.ToLower(v), parts) })
		}, nil
	}
	return nil, fmt.Errorf("a file is filtered by &, |, !, =, =* and substrings only")
}

func (f *filter) name(p *ber.Packet) string {
	n := strings.ToLower(p.Data.String())
	f.names = append(f.names, n)
	return n
}

func substrings(v string, parts []*ber.Packet) bool {
	for _, p := range parts {
		want := strings.ToLower(p.Data.String())
		switch p.Tag {
		case ldap.FilterSubstringsInitial:
			if !strings.HasPrefix(v, want) {
				return false
			}
			v = v[len(want):]
		case ldap.FilterSubstringsFinal:
			return strings.HasSuffix(v, want)
		default:
			_, rest, ok := strings.Cut(v, want)
			if !ok {
				return false
			}
			v = rest
		}
	}
	return true
}
