package ldap

import (
	"reflect"
	"testing"
)

func FuzzPlainName(f *testing.F) {
	for _, dn := range []string{
		"", "o=com", "mail=J.O'Brien@Example.com,o=com,dc=Example", "cn=Two  spaces,o=com", "cn=a b,o=com", "cn= a,o=com", "cn=a ,o=com", " cn=a", "cn=a, o=com",
		"cn=a+uid=b,o=com", `cn=a\, b,o=com`, "cn=a=b,o=com", "=a", "cn=", "cn", "cn=a,", ",cn=a", "cn=#0101", "cn=\u212a,o=com", "o=com,cn=\u0130", "cn=a;o=com", "1.2.3=x",
	} {
		f.Add(dn)
	}
	f.Fuzz(func(t *testing.T, dn string) {
		plain, ok := plainName(dn)
		if !ok {
			return
		}
		if full, err := anyName(dn); err != nil || !reflect.DeepEqual(plain, full) {
			t.Errorf("%q: %+v, want %+v, %v", dn, plain, full, err)
		}
	})
}
