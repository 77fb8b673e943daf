package auth

import (
	"testing"
)

// BenchmarkAuthenticate verifies tokens that are remembered, and tokens that are
// not.
func BenchmarkAuthenticate(b *testing.B) {
	for _, c := range []struct {
		name     string
		token    func(*lab) string
		remember int
	}{
		{"known", func(l *lab) string { return compact(header("RS256", "rsa"), l.claims(nil), byRSA) }, 10},
		{"new/RS256", func(l *lab) string { return compact(header("RS256", "rsa"), l.claims(nil), byRSA) }, -1},
		{"new/ES256", func(l *lab) string { return compact(header("ES256", "ec"), l.claims(nil), byEC) }, -1},
		{"new/EdDSA", func(l *lab) string { return l.token("ed") }, -1},
		{"bad/signature", func(l *lab) string { return compact(header("RS256", "rsa"), l.claims(nil), byEd("ed")) }, -1},
		{"bad/kid", func(l *lab) string { return compact(header("RS256", "unknown"), l.claims(nil), byEd("ed")) }, -1},
		{"bad/form", func(*lab) string { return "rubbish" }, -1},
	} {
		b.Run(c.name, func(b *testing.B) {
			l := newLab(b, func(o *Options) { o.Remember = c.remember })
			token := c.token(l)
			l.Authenticate(b.Context(), token)
			b.ReportAllocs()
			for b.Loop() {
				l.Authenticate(b.Context(), token)
			}
		})
	}
}
