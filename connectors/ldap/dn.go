package ldap

import (
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// A name is a parsed distinguished name (RFC 4514).
type name struct {
	rdns  []string // in normal form, the entry's own first
	first []*ldap.AttributeTypeAndValue
}

// parseName parses a DN. In normal form, types and values are lower-case,
// runs of spaces are one, the parts of a multi-valued RDN are sorted and
// escapes are written one way: what caseIgnoreMatch (RFC 4518) sees as equal
// is equal, as far as that goes without a schema.
func parseName(dn string) (name, error) {
	p, err := ldap.ParseDN(dn)
	if err != nil {
		return name{}, err
	}
	var n name
	for i, rdn := range p.RDNs {
		if i == 0 {
			n.first = rdn.Attributes
		}
		parts := make([]string, len(rdn.Attributes))
		for j, a := range rdn.Attributes {
			parts[j] = (&ldap.AttributeTypeAndValue{Type: fold(a.Type), Value: fold(a.Value)}).String()
		}
		slices.Sort(parts)
		n.rdns = append(n.rdns, strings.Join(parts, "+"))
	}
	return n, nil
}

// String returns the normal form.
func (n name) String() string { return strings.Join(n.rdns, ",") }

// under reports whether n is base or stands below it.
func (n name) under(base name) bool {
	d := len(n.rdns) - len(base.rdns)
	return d >= 0 && slices.Equal(n.rdns[d:], base.rdns)
}

// normalDN returns the normal form of a DN; of what is none, the folded text.
func normalDN(dn string) string {
	n, err := parseName(dn)
	if err != nil {
		return fold(dn)
	}
	return n.String()
}

// fold brings a text to the form in which LDAP compares most texts: case and
// the number of spaces do not matter.
func fold(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }
