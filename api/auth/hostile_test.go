package auth

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestDamaged refuses every prefix and every suffix of good tokens, and each
// with any one bit turned, while the good ones are remembered.
func TestDamaged(t *testing.T) {
	l := newLab(t)
	for name, token := range map[string]string{
		"EdDSA": l.token("ed"),
		"RS256": compact(header("RS256", "rsa"), l.claims(nil), byRSA),
		"ES256": compact(header("ES256", "ec"), l.claims(nil), byEC),
	} {
		t.Run(name, func(t *testing.T) {
			l.accepts(token)
			for i := range len(token) {
				l.refuses(token[:i], "")
				if i > 0 {
					l.refuses(token[i:], "")
				}
				for bit := range 8 {
					b := []byte(token)
					b[i] ^= 1 << bit
					l.refuses(string(b), "")
				}
			}
			l.accepts(token)
		})
	}
	if n := l.read.Load(); n != 1 {
		t.Errorf("the keys were read %d times", n)
	}
}

// TestForm refuses what is a good token but for how it is written.
func TestForm(t *testing.T) {
	l := newLab(t)
	good := l.token("ed")
	l.accepts(good)
	part := strings.Split(good, ".")
	// The last character of the signature, 64 bytes, has four bits that count
	// for nothing.
	last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", good[len(good)-1])
	trailing := good[:len(good)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last|1])
	decoded, err := base64.RawURLEncoding.DecodeString(part[2])
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"empty":                   "",
		"dots":                    "..",
		"words":                   "not a token",
		"two parts":               part[0] + "." + part[1],
		"four parts":              good + ".",
		"five parts, as a JWE":    good + "..",
		"no signature":            part[0] + "." + part[1] + ".",
		"no header":               "." + part[1] + "." + part[2],
		"a space before":          " " + good,
		"a space after":           good + " ",
		"a line end after":        good + "\n",
		"a line end within":       part[0] + ".\r\n" + part[1] + "." + part[2],
		"a line end in a part":    good[:len(good)-4] + "\n" + good[len(good)-4:],
		"a zero byte":             good + "\x00",
		"padding":                 good + "==",
		"bits at the end":         trailing,
		"the other base64":        part[0] + "." + part[1] + "." + base64.RawStdEncoding.EncodeToString(append(decoded[:61], 0xff, 0xff, 0xff)),
		"in JSON":                 fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, part[1], part[0], part[2]),
		"too long":                compact(header("EdDSA", "ed"), l.claims(map[string]any{"x": strings.Repeat("x", maxToken)}), byEd("ed")),
		"a header that is a list": compact(`["EdDSA"]`, l.claims(nil), byEd("ed")),
		"a header that is null":   compact(`null`, l.claims(nil), byEd("ed")),
		"a header and more":       compact(header("EdDSA", "ed")+"{}", l.claims(nil), byEd("ed")),
		"a header not in UTF-8":   compact("{\"alg\":\"EdDSA\",\"kid\":\"ed\",\"x\":\"\xff\"}", l.claims(nil), byEd("ed")),
		"half a surrogate":        compact(`{"alg":"EdDSA","kid":"ed","x":"\ud800"}`, l.claims(nil), byEd("ed")),
	} {
		t.Run(name, func(t *testing.T) { l.refuses(token, "invalid_header") })
	}
	for name, claims := range map[string]string{
		"claims that are a text": `"abc"`,
		"claims that are null":   `null`,
		"claims and more":        l.claims(nil) + "{}",
		"claims cut off":         l.claims(nil)[:40],
		"claims not in UTF-8":    "{\"iss\":\"\xff\"}",
		"claims that are nested": strings.Repeat(`{"a":`, 2000),
		"no claims":              "",
	} {
		t.Run(name, func(t *testing.T) {
			l.refuses(compact(header("EdDSA", "ed"), claims, byEd("ed")), "invalid_claims")
		})
	}
}

// TestHeader refuses headers that choose how they are verified. All are signed
// with the right key, except where the name of the test says it.
func TestHeader(t *testing.T) {
	// Whoever followed a link in a header would be seen.
	trap := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s was asked for", r.URL) }))
	t.Cleanup(trap.Close)
	l := newLab(t)
	l.accepts(l.token("ed"))
	public, err := x509.MarshalPKIXPublicKey(&rsaKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	jwk := func(name string) string {
		b, err := json.Marshal(edJWK(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	type attack struct {
		name, header string
		sign         signer
	}
	attacks := []attack{
		{"HMAC with the public key in PEM", header("HS256", "rsa"), byHMAC(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))},
		{"HMAC with the public key in DER", header("HS256", "rsa"), byHMAC(public)},
		{"HMAC with the public key as it is", header("HS256", "ed"), byHMAC(edKey("ed")[32:])},
		{"HMAC with the public key as JWK", header("HS256", "ed"), byHMAC([]byte(jwk("ed")))},
		{"HMAC under the name of RSA", header("RS256", "rsa"), byHMAC(public)},
		{"HMAC with nothing", header("HS256", "ed"), byHMAC(nil)},
		{"an algorithm that the issuer has not", header("PS256", "rsa"), byRSA},
		{"a longer hash", header("RS512", "rsa"), byRSA},
		{"RSA under the name of another kind", header("EdDSA", "rsa"), byRSA},
		{"a key of another kind", header("RS256", "ed"), byEd("ed")},
		{"a key of another curve", header("ES256", "ed"), byEd("ed")},
		{"an unknown algorithm", header("XX", "ed"), byEd("ed")},
		{"in small letters", header("eddsa", "ed"), byEd("ed")},
		{"signed by somebody", header("EdDSA", "ed"), byEd("somebody")},
		{"signed by another key of the issuer", header("RS256", "rsa"), byEd("ed")},

		{"jwk", `{"alg":"EdDSA","kid":"ed","jwk":` + jwk("ed") + `}`, byEd("ed")},
		{"jwk of somebody", `{"alg":"EdDSA","kid":"somebody","jwk":` + jwk("somebody") + `}`, byEd("somebody")},
		{"jwk that is null", `{"alg":"EdDSA","kid":"ed","jwk":null}`, byEd("ed")},
		{"jku", `{"alg":"EdDSA","kid":"ed","jku":"` + trap.URL + `"}`, byEd("ed")},
		{"jku of the issuer", `{"alg":"EdDSA","kid":"ed","jku":"` + l.issuer + `keys"}`, byEd("ed")},
		{"x5u", `{"alg":"EdDSA","kid":"ed","x5u":"` + trap.URL + `"}`, byEd("ed")},
		{"x5c", `{"alg":"EdDSA","kid":"ed","x5c":["MIIB"]}`, byEd("ed")},
		{"x5c that is empty", `{"alg":"EdDSA","kid":"ed","x5c":[]}`, byEd("ed")},
		{"crit", `{"alg":"EdDSA","kid":"ed","crit":["exp"],"exp":1}`, byEd("ed")},
		{"crit that is empty", `{"alg":"EdDSA","kid":"ed","crit":[]}`, byEd("ed")},
		{"b64", `{"alg":"EdDSA","kid":"ed","b64":false,"crit":["b64"]}`, byEd("ed")},
		{"b64 that is true", `{"alg":"EdDSA","kid":"ed","b64":true}`, byEd("ed")},
		{"a name written with escapes", `{"alg":"EdDSA","kid":"ed","\u006aku":"` + trap.URL + `"}`, byEd("ed")},

		{"alg twice", `{"alg":"none","alg":"EdDSA","kid":"ed"}`, byEd("ed")},
		{"alg twice, the other way", `{"alg":"EdDSA","alg":"none","kid":"ed"}`, byEd("ed")},
		{"alg twice, once with escapes", `{"alg":"EdDSA","\u0061lg":"EdDSA","kid":"ed"}`, byEd("ed")},
		{"kid twice", `{"alg":"EdDSA","kid":"rsa","kid":"ed"}`, byEd("ed")},
		{"something else twice", `{"alg":"EdDSA","kid":"ed","x":{"a":1,"a":2}}`, byEd("ed")},
		{"no alg", `{"kid":"ed"}`, byEd("ed")},
		{"alg in capitals", `{"ALG":"EdDSA","kid":"ed"}`, byEd("ed")},
		{"alg is a list", `{"alg":["EdDSA"],"kid":"ed"}`, byEd("ed")},
		{"no kid", `{"alg":"EdDSA"}`, byEd("ed")},
		{"kid is empty", `{"alg":"EdDSA","kid":""}`, byEd("ed")},
		{"kid is null", `{"alg":"EdDSA","kid":null}`, byEd("ed")},
		{"kid is a number", `{"alg":"EdDSA","kid":0}`, byEd("ed")},
		{"kid is a list", `{"alg":"EdDSA","kid":["ed"]}`, byEd("ed")},
		{"kid is an object", `{"alg":"EdDSA","kid":{"$ne":""}}`, byEd("ed")},

		{"typ of something else", `{"alg":"EdDSA","kid":"ed","typ":"dpop+jwt"}`, byEd("ed")},
		{"typ of a logout", `{"alg":"EdDSA","kid":"ed","typ":"logout+jwt"}`, byEd("ed")},
		{"typ is empty", `{"alg":"EdDSA","kid":"ed","typ":""}`, byEd("ed")},
		{"typ is null", `{"alg":"EdDSA","kid":"ed","typ":null}`, byEd("ed")},
		{"typ is a list", `{"alg":"EdDSA","kid":"ed","typ":["JWT"]}`, byEd("ed")},
	}
	for _, none := range []string{"none", "None", "NONE", "nOnE", "none ", " none", "", "null", "n\u00f6ne", "none\x00"} {
		attacks = append(attacks,
			attack{fmt.Sprintf("alg %q without signature", none), fmt.Sprintf(`{"alg":%q,"kid":"ed"}`, none), byNobody},
			attack{fmt.Sprintf("alg %q signed", none), fmt.Sprintf(`{"alg":%q,"kid":"ed"}`, none), byEd("ed")})
	}
	for _, kid := range []string{
		"ED", "ed ", "ed\x00", "./ed", "../../../../dev/null", "/dev/null", "ed' OR '1'='1", "' UNION SELECT 'secret", "ed|id", "$(id)", "*", "%65%64",
		l.issuer + "keys#ed", trap.URL, "file:///proc/self/environ", strings.Repeat("k", 4000),
	} {
		h, err := json.Marshal(map[string]string{"alg": "EdDSA", "kid": kid})
		if err != nil {
			t.Fatal(err)
		}
		attacks = append(attacks, attack{fmt.Sprintf("kid %.40q", kid), string(h), byEd("ed")})
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) { l.refuses(compact(a.header, l.claims(nil), a.sign), "invalid_header") })
	}
	if n := l.read.Load(); n != 1 {
		t.Errorf("the keys were read %d times", n)
	}
}

// TestDuplicateClaims refuses claims of which two readers could take two
// things.
func TestDuplicateClaims(t *testing.T) {
	l := newLab(t)
	good := strings.TrimSuffix(l.claims(nil), "}")
	for _, more := range []string{`"iss":"x"`, `"aud":"x"`, `"exp":9999999999`, `"sub":"admin"`, `"scope":"all"`, `"\u0073cope":"all"`, `"x":{"y":1,"y":2}`, `"x":1,"x":1`} {
		l.refuses(compact(header("EdDSA", "ed"), good+","+more+"}", byEd("ed")), "invalid_claims")
	}
}

// TestIssuersApart never lets the key of one issuer speak for another, not even
// where both use the same kid.
func TestIssuersApart(t *testing.T) {
	second := newLab(t)
	second.publish(but(edJWK("second"), map[string]any{"kid": "ed"}), edJWK("only"))
	l := newLab(t, func(o *Options) {
		o.Issuers = append(o.Issuers, Issuer{Issuer: second.issuer, Algorithms: []string{"EdDSA"}})
	})
	of := func(lab *lab, kid, key string) string {
		return compact(header("EdDSA", kid), lab.claims(nil), byEd(key))
	}
	l.accepts(of(l, "ed", "ed"))
	l.accepts(of(second, "ed", "second"))
	l.accepts(of(second, "only", "only"))
	l.refuses(of(l, "ed", "second"), "invalid_header")
	l.refuses(of(second, "ed", "ed"), "invalid_header")
	l.refuses(of(l, "only", "only"), "invalid_header")
	l.refuses(compact(header("RS256", "rsa"), second.claims(nil), byRSA), "invalid_header")
	l.refuses(compact(header("EdDSA", "ed"), l.claims(map[string]any{"iss": "https://third.example.org/"}), byEd("ed")), "invalid_claims")
}
