// Package ldaptest starts OpenLDAP servers for tests: real ones, thrown away
// afterwards, on 127.0.0.1. It needs Debian's slapd; without it tests are
// skipped, or fail if CIS_REQUIRE_ALL is 1.
package ldaptest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// Suffix is the DN below which the entries of a server stand.
const Suffix = "dc=example,dc=org"

// The identities that a server knows: who reads everything, who hits a size
// limit of 50 entries, and who sees nothing below ou=groups. All have the
// password Password.
const (
	Reader   = "cn=reader," + Suffix
	Small    = "cn=small," + Suffix
	Blind    = "cn=blind," + Suffix
	Password = "reader-password"
)

// A Server is a running OpenLDAP server.
type Server struct {
	URL    string // ldap://, with StartTLS
	TLSURL string // ldaps://
	CAFile string
	cmd    *exec.Cmd
	done   chan struct{}
}

// Start starts a server with the entries of an LDIF file, "" for none, and
// stops it when the test ends.
func Start(t testing.TB, ldif string) *Server {
	t.Helper()
	path := os.Getenv("PATH") + ":/usr/sbin:/usr/local/sbin"
	if !installed("slapd", path) {
		if os.Getenv("CIS_REQUIRE_ALL") == "1" {
			t.Fatal("ldaptest: slapd is not installed")
		}
		t.Skip("ldaptest: slapd is not installed")
	}
	dir := t.TempDir()
	ca := WriteCertificate(t, dir)
	for try := 1; ; try++ {
		s, err := start(dir, ldif, freePort(t), freePort(t))
		if err == nil {
			s.CAFile = ca
			t.Cleanup(s.Kill)
			return s
		}
		if try == 3 { // somebody else may have taken a port meanwhile
			t.Fatalf("ldaptest: %v", err)
		}
	}
}

// Kill ends the server at once, as a crash does. It may be called twice.
func (s *Server) Kill() {
	s.cmd.Process.Kill() // an error says that it has ended already
	<-s.done
}

func start(dir, ldif string, port, tlsPort int) (*Server, error) {
	_, here, _, _ := runtime.Caller(0)
	script := filepath.Join(filepath.Dir(here), "..", "..", "..", "testdata", "openldap", "start.sh")
	s := &Server{
		URL:    fmt.Sprintf("ldap://127.0.0.1:%d", port),
		TLSURL: fmt.Sprintf("ldaps://127.0.0.1:%d", tlsPort),
		cmd:    exec.Command(script, dir, fmt.Sprint(port), fmt.Sprint(tlsPort), ldif),
		done:   make(chan struct{}),
	}
	var said bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr = &said, &said
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.cmd.Wait()
		close(s.done)
	}()
	for deadline := time.Now().Add(time.Minute); ; {
		select {
		case <-s.done:
			return nil, fmt.Errorf("slapd ended: %s", said.Bytes())
		case <-time.After(5 * time.Millisecond): // between two attempts to connect
		}
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", tlsPort))
		if err == nil {
			return s, conn.Close()
		}
		if time.Now().After(deadline) {
			s.Kill()
			return nil, fmt.Errorf("slapd does not listen: %s", said.Bytes())
		}
	}
}

// WriteCertificate writes cert.pem, which signs itself for 127.0.0.1 and
// localhost, and its key.pem into dir. It returns the path of cert.pem, which
// is a CA file too.
func WriteCertificate(t testing.TB, dir string) string {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("ldaptest: %v", err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	path := filepath.Join(dir, "cert.pem")
	must(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	must(os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return path
}

func installed(program, path string) bool {
	for _, dir := range filepath.SplitList(path) {
		if info, err := os.Stat(filepath.Join(dir, program)); err == nil && !info.IsDir() {
			return true
		}
	}
	return false
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("ldaptest: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
