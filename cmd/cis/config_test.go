package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"example.org/cis/api/auth"
	"example.org/cis/cmd/cis/internal/config"
)

// TestInitHasEverySetting looks for every setting, but those of sources, in what
// cis init writes, where it may be a comment.
func TestInitHasEverySetting(t *testing.T) {
	b, err := os.ReadFile("init.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var look func(of reflect.Type, in string)
	look = func(of reflect.Type, in string) {
		for f := range of.Fields() {
			key := f.Tag.Get("yaml")
			if key == "-" || key == "" {
				continue
			}
			if !strings.Contains(string(b), " "+key+":") && !strings.Contains(string(b), "\n"+key+":") {
				t.Errorf("there is no %s%s", in, key)
			}
			inner := f.Type
			if inner.Kind() == reflect.Slice {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[config.Source]() {
				look(inner, in+key+".")
			}
		}
	}
	look(reflect.TypeFor[config.Config](), "")
}

// TestConfigAgreesWithVerifier has the configuration complain of exactly those
// issuers that the verifier of tokens refuses.
func TestConfigAgreesWithVerifier(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cis.yaml")
	for _, issuer := range []string{
		`issuer: https://a.example.org`, `issuer: https://a.example.org/?x=1`, `issuer: https://a.example.org/?`, `issuer: "https://a.example.org/#x"`, `issuer: https://u@a.example.org`,
		`issuer: a.example.org`, `issuer: "https:"`, `issuer: https:a`, `issuer: ftp://a.example.org`, `issuer: "http://[::1]:80/"`, `issuer: http://127.0.0.2/`, `issuer: http://localhost`,
		`issuer: http://localhost.example.org`, `issuer: http://10.0.0.1`, `issuer: HTTPS://a.example.org`, `issuer: "https://a b"`,
		`issuer: https://a, jwks_url: https://b/?x=1`, `issuer: https://a, jwks_url: "https://b/#x"`, `issuer: https://a, jwks_url: http://b`, `issuer: https://a, jwks_url: b`,
		`issuer: https://a, algorithms: [RS256, RS384, RS512, PS256, ES256, EdDSA]`, `issuer: https://a, algorithms: [HS256]`, `issuer: https://a, algorithms: [PS384]`,
		`issuer: https://a, algorithms: [ES384]`, `issuer: https://a, algorithms: [none]`, `issuer: https://a, algorithms: [""]`, `issuer: https://a, algorithms: [rs256]`,
		`issuer: https://a, scopes: [x]`, `issuer: https://a, accounts: [a], scopes: [x]`, `issuer: https://a, accounts: [a], scopes: [x y]`, `issuer: https://a, accounts: [""]`,
		`issuer: https://a}, {issuer: https://a`, `issuer: https://a}, {issuer: https://a/`,
	} {
		text := fmt.Sprintf("salt: env:SALT\nsources: [{name: ldap, type: ldap, file: x}]\napi: {audience: a, issuers: [{%s}]}\n", issuer)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := &program{everywhere: everywhere{Config: path}, now: time.Now}
		cfg, refused := p.load()
		if refused == nil {
			verifier, err := auth.Open(authOptions(cfg, p.now, nil))
			if err != nil {
				t.Errorf("{%s} is in order, and cis serve says: %v", issuer, err)
				continue
			}
			verifier.Close()
			continue
		}
		if !strings.Contains(refused.Error(), "api.issuers") {
			t.Errorf("{%s}: %v", issuer, refused)
		}
		if want := accepted[issuer]; want {
			t.Errorf("{%s} is refused: %v", issuer, refused)
		}
	}
}

// What has to be in order.
var accepted = map[string]bool{
	`issuer: https://a.example.org`: true, `issuer: "http://[::1]:80/"`: true, `issuer: http://127.0.0.2/`: true, `issuer: http://localhost`: true, `issuer: HTTPS://a.example.org`: true,
	`issuer: https://a, jwks_url: https://b/?x=1`: true, `issuer: https://a, algorithms: [RS256, RS384, RS512, PS256, ES256, EdDSA]`: true,
	`issuer: https://a, accounts: [a], scopes: [x]`: true, `issuer: https://a}, {issuer: https://a/`: true,
}
