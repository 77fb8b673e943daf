package person_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"example.org/cis/transforms/people"
)

// large is a profile of the size that one signed by RSA keys has.
func large(n int) *people.Profile {
	p := somebody(n)
	for _, a := range p.Attributes {
		at := a.Attribute
		at.Signature.Publisher = people.Mark{Alg: "RS256", Typ: "JWS", Name: "cis", Value: strings.Repeat(fmt.Sprintf("%06d", n), 110)}
		p.Set(a.Path, at)
	}
	return p
}

// BenchmarkUser reads one profile, of a few people (whose bodies are remembered)
// and of many.
func BenchmarkUser(b *testing.B) {
	for _, bench := range []struct {
		name   string
		people int
	}{{"few", 100}, {"many", 3000}} {
		b.Run(bench.name, func(b *testing.B) {
			var all []*people.Profile
			for n := range bench.people {
				all = append(all, large(n))
			}
			w := newWorld(b, all...)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				r := httptest.NewRequest("GET", "/v2/user/uuid/"+idOf(i*977%bench.people).String(), nil)
				r.Header.Set("Authorization", "Bearer caller read:fullprofile display:all")
				rec := httptest.NewRecorder()
				w.server.ServeHTTP(rec, r)
				if rec.Code != 200 || rec.Body.Len() < 30000 {
					b.Fatal(rec.Code, rec.Body.Len())
				}
				i++
			}
		})
	}
}
