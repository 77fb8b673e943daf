package ldap

import (
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// A name is a parsed distinguished name (RFC 4514).
type name struct {
	text  string   // the normal form
	rdns  []string // in normal form, the entry's own first
	first []ldap.AttributeTypeAndValue
}

// parseName parses a DN. In normal form, types and values are lower-case,
// runs of spaces are one, the parts of a multi-valued RDN are sorted and
// escapes are written one way: what caseIgnoreMatch (RFC 4518) sees as equal
// is equal, as far as that goes without a schema.
func parseName(dn string) (name, error) {
	if n, ok := plainName(dn); ok {
		return n, nil
	}
	return anyName(dn)
}

func anyName(dn string) (name, error) {
	p, err := ldap.ParseDN(dn)
	if err != nil {
		return name{}, err
	}
	var n name
	for i, rdn := range p.RDNs {
		parts := make([]string, len(rdn.Attributes))
		for j, a := range rdn.Attributes {
			if i == 0 {
				n.first = append(n.first, *a)
			}
			parts[j] = (&ldap.AttributeTypeAndValue{Type: fold(a.Type), Value: fold(a.Value)}).String()
		}
		slices.Sort(parts)
		n.rdns = append(n.rdns, strings.Join(parts, "+"))
	}
	n.text = strings.Join(n.rdns, ",")
	return n, nil
}

// plainName is anyName, faster, of the DNs that nearly all are: printable ASCII
// without escapes, one value an RDN, no space that does not count. Of others
// ok is false.
func plainName(dn string) (n name, ok bool) {
	n.text = strings.ToLower(dn)
	n.rdns = make([]string, 0, strings.Count(dn, ",")+1)
	start, equals := 0, -1 // of the RDN at hand
	for i := range len(dn) + 1 {
		c := byte(',')
		if i < len(dn) {
			c = dn[i]
		}
		switch {
		case c == ',':
			if equals <= start || equals == i-1 || dn[start] == ' ' || dn[equals-1] == ' ' || dn[equals+1] == ' ' || dn[i-1] == ' ' {
				return name{}, false
			}
			if n.first == nil {
				n.first = []ldap.AttributeTypeAndValue{{Type: dn[:equals], Value: dn[equals+1 : i]}}
			}
			n.rdns = append(n.rdns, n.text[start:i])
			start, equals = i+1, -1
		case c == '=' && equals < 0:
			equals = i
		case c == ' ' && i > 0 && dn[i-1] != ' ':
		case c <= ' ' || c > '~' || strings.IndexByte(`"#+;<=>\`, c) >= 0:
			return name{}, false
		}
	}
	return n, true
}

// String returns the normal form.
func (n name) String() string { return n.text }

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
