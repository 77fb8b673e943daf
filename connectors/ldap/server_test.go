package ldap_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/google/go-cmp/cmp"

	"example.org/cis/connectors"
	"example.org/cis/connectors/connectortest"
	"example.org/cis/connectors/ldap"
	"example.org/cis/connectors/ldap/ldaptest"
	"example.org/cis/transforms/people"
)

func password(context.Context) (string, error) { return ldaptest.Password, nil }

// config reads everything of a server as the reader.
func config(s *ldaptest.Server) ldap.Config {
	return ldap.Config{
		Name: "ldap", URL: s.TLSURL, CAFile: s.CAFile, BindDN: ldaptest.Reader, Timeout: 5 * time.Second,
		PeopleBases: []string{"o=com," + ldaptest.Suffix, "o=org," + ldaptest.Suffix, "o=net," + ldaptest.Suffix},
		GroupBases:  []string{"ou=groups," + ldaptest.Suffix},
	}
}

func extract(t *testing.T, s connectors.Source) (people.Certificate, connectortest.Recorder) {
	t.Helper()
	var out connectortest.Recorder
	cert, err := s.Extract(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	return cert, out
}

// The same entries say the same, whether read from a file or from a server.
func TestServerSaysWhatTheFileSays(t *testing.T) {
	server := ldaptest.Start(t, "testdata/company.ldif")
	wantCert, want := extract(t, fromFile(t, company(t)))
	for name, change := range map[string]func(*ldap.Config){
		"ldaps":     func(*ldap.Config) {},
		"StartTLS":  func(c *ldap.Config) { c.URL = server.URL },
		"anonymous": func(c *ldap.Config) { c.BindDN, c.Anonymous = "", true },
		"pages":     func(c *ldap.Config) { c.PageSize = 1 },
		"one base":  func(c *ldap.Config) { c.PeopleBases = []string{ldaptest.Suffix} },
		"filter":    func(c *ldap.Config) { c.PeopleFilter = "(&(objectClass=person)(!(uid=nobody*)))" },
	} {
		t.Run(name, func(t *testing.T) {
			c := config(server)
			change(&c)
			cert, got := extract(t, open(t, c, password))
			if !cert.Complete || cert.Mapping != wantCert.Mapping {
				t.Errorf("complete %v, reason %q", cert.Complete, cert.Reason)
			}
			if len(got.Rejections) != 0 {
				t.Errorf("set aside: %v", got.Rejections)
			}
			if d := cmp.Diff(want.Contents(), got.Contents()); d != "" {
				t.Errorf("file (-), server (+):\n%s", d)
			}
		})
	}
}

// Files evaluate filters as a server does.
func TestFiltersOnFileAndServer(t *testing.T) {
	server := ldaptest.Start(t, "testdata/company.ldif")
	for _, filter := range []string{
		"(objectClass=person)", "(objectClass=posixAccount)", "(objectClass=*)", "(uid=ANN)", "(uid=bosse)", "(cn=ann  archer)",
		"(mail=*@example.org)", "(mail=a*e*.org)", "(mail=*nn@*)", "(mail=a*org*x)", "(!(mobile=*))", "(|(uid=ann)(uid=chi))",
		"(&(uid=*)(!(|(uid=ann)(uid=chi))))", "(memberOf=CN=team_build, ou=groups,dc=example,dc=org)", "(sn=\\c3\\85kerstr\\c3\\b6m)",
	} {
		c := config(server)
		c.PeopleFilter = "(&(uid=*)" + filter + ")"
		_, want := extract(t, open(t, c, password))
		_, got := extract(t, open(t, ldap.Config{Name: "ldap", File: "testdata/company.ldif", PeopleFilter: c.PeopleFilter}, nil))
		if d := cmp.Diff(want.Contents(), got.Contents()); d != "" {
			t.Errorf("%s: server (-), file (+):\n%s", filter, d)
		}
	}
}

func TestSuiteOnServer(t *testing.T) {
	dir := t.TempDir()
	withBad := filepath.Join(dir, "bad.ldif")
	before, after, _ := strings.Cut(company(t), "dn: uid=bo,")
	bad := "dn: cn=mal,o=com,dc=example,dc=org\nobjectClass: inetOrgPerson\ncn: mal\nsn: Mal\nuid: hunter2 | x\n\n"
	if err := os.WriteFile(withBad, []byte(before+bad+"dn: uid=bo,"+after), 0o600); err != nil {
		t.Fatal(err)
	}
	good, malformed := ldaptest.Start(t, "testdata/company.ldif"), ldaptest.Start(t, withBad)
	of := func(s *ldaptest.Server, change func(*testing.T, *ldap.Config)) func(*testing.T) connectors.Source {
		return func(t *testing.T) connectors.Source {
			c := config(s)
			c.PageSize = 2
			c.Timeout = time.Second
			change(t, &c)
			return open(t, c, password)
		}
	}
	connectortest.Run(t, connectortest.Config{
		Good:      of(good, func(*testing.T, *ldap.Config) {}),
		People:    3,
		Malformed: of(malformed, func(*testing.T, *ldap.Config) {}),
		Broken:    of(good, func(t *testing.T, c *ldap.Config) { c.URL = through(t, c.URL, 1900, false) }),
		Stalled:   of(good, func(t *testing.T, c *ldap.Config) { c.URL = through(t, c.URL, 1900, true) }),
		Truncated: of(good, func(t *testing.T, c *ldap.Config) { c.URL, c.CAFile = fake(t, done(5, 0)) }),
		Empty:     of(good, func(t *testing.T, c *ldap.Config) { c.PeopleFilter = "(uid=nobody)" }),
		Redirected: of(good, func(t *testing.T, c *ldap.Config) {
			c.URL, c.CAFile = fake(t, reference("ldaps://elsewhere.example.org/o=com"), done(5, 0))
		}),
		Refused: func(t *testing.T) connectors.Source {
			return open(t, config(good), func(context.Context) (string, error) { return "hunter2", nil })
		},
		Secrets: []string{"hunter2", ldaptest.Password},
		FindBy:  []people.Scheme{people.ByUserID, people.ByPosixID, people.ByRecord(people.LDAP)},
	})
}

func TestServerIncomplete(t *testing.T) {
	ldif := filepath.Join(t.TempDir(), "many.ldif")
	writeMany(t, ldif, 1000)
	server := ldaptest.Start(t, ldif)
	other := ldaptest.WriteCertificate(t, t.TempDir())
	for _, c := range []struct {
		name   string
		change func(*ldap.Config)
		secret ldap.Secret
		want   string
	}{
		{"size limit", func(c *ldap.Config) { c.BindDN, c.PageSize = ldaptest.Small, 20 }, password, "result 4 (Size Limit Exceeded)"},
		{"page larger than allowed", func(c *ldap.Config) { c.BindDN, c.PageSize = ldaptest.Small, 21 }, password, "result 11 (Admin Limit Exceeded)"},
		{"common limit", func(c *ldap.Config) { c.BindDN, c.Anonymous = "", true }, password, "result 4 (Size Limit Exceeded)"},
		{"groups hidden", func(c *ldap.Config) { c.BindDN = ldaptest.Blind }, password, "no groups"},
		{"no such base", func(c *ldap.Config) { c.PeopleBases = []string{"o=none," + ldaptest.Suffix} }, password, "result 32 (No Such Object)"},
		{"wrong CA, ldaps", func(c *ldap.Config) { c.CAFile = other }, password, "unknown authority"},
		{"wrong CA, StartTLS", func(c *ldap.Config) { c.CAFile, c.URL = other, server.URL }, password, "unknown authority"},
		{"wrong name", func(c *ldap.Config) { c.URL = strings.Replace(c.URL, "127.0.0.1", "127.0.0.2", 1) }, password, ""},
		{"wrong password", func(*ldap.Config) {}, func(context.Context) (string, error) { return "x", nil }, "bind: result 49 (Invalid Credentials)"},
		{"empty password", func(*ldap.Config) {}, func(context.Context) (string, error) { return "", nil }, "password of the bind is empty"},
		{"no password", func(*ldap.Config) {}, func(context.Context) (string, error) { return "", errors.New("no variable X") }, "password of the bind: no variable X"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := config(server)
			k.PeopleBases = []string{"o=com," + ldaptest.Suffix}
			c.change(&k)
			cert, _ := extract(t, open(t, k, c.secret))
			if cert.Complete || !strings.Contains(cert.Reason, c.want) || cert.Reason == "" {
				t.Errorf("complete %v, reason %q, want %q", cert.Complete, cert.Reason, c.want)
			}
		})
	}
	t.Run("killed in mid-read", func(t *testing.T) {
		k := config(server)
		k.PeopleBases, k.PageSize = []string{"o=com," + ldaptest.Suffix}, 100
		out := connectortest.Recorder{}
		out.OnObservation = func(people.Observation) error {
			if len(out.Observations) == 150 {
				server.Kill()
			}
			return nil
		}
		cert, err := open(t, k, password).Extract(t.Context(), &out)
		if err != nil || cert.Complete || cert.Reason == "" || len(out.Observations) >= 1000 {
			t.Errorf("complete %v, reason %q, error %v, %d observations", cert.Complete, cert.Reason, err, len(out.Observations))
		}
	})
}

// Answers that end well for a client that takes them at their word.
func TestServerEndsTooEarly(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer [][]byte
		want   string
	}{
		{"no paging control", [][]byte{done(5, 0)}, "no paging control"},
		{"referral", [][]byte{done(5, 10)}, "result 10 (Referral)"},
		{"reference", [][]byte{reference("ldap://x/"), done(5, 0)}, "refers to another one"},
		{"time limit", [][]byte{done(5, 3)}, "result 3 (Time Limit Exceeded)"},
		{"busy", [][]byte{done(5, 51)}, "result 51 (Busy)"},
		{"not LDAP", [][]byte{[]byte("HTTP/1.1 400 Bad Request\r\n\r\n")}, ""},
		{"nothing", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := ldap.Config{Name: "ldap", BindDN: "cn=r", PeopleBases: []string{"o=com"}, GroupBases: []string{"o=com"}, Timeout: time.Second}
			k.URL, k.CAFile = fake(t, c.answer...)
			cert, _ := extract(t, open(t, k, password))
			if cert.Complete || cert.Reason == "" || !strings.Contains(cert.Reason, c.want) {
				t.Errorf("complete %v, reason %q, want %q", cert.Complete, cert.Reason, c.want)
			}
		})
	}
}

// Ten thousand people are read whole, in pages, in little memory.
func TestTenThousandPeople(t *testing.T) {
	const n = 10_000
	ldif := filepath.Join(t.TempDir(), "many.ldif")
	writeMany(t, ldif, n)
	server := ldaptest.Start(t, ldif)
	c := config(server)
	c.PeopleBases = []string{"o=com," + ldaptest.Suffix}

	out := counter{heap: heap()}
	cert, err := open(t, c, password).Extract(t.Context(), &out)
	if err != nil || !cert.Complete {
		t.Fatalf("error %v, reason %q", err, cert.Reason)
	}
	if out.observations != n || out.grouped != n || out.rejections != 0 {
		t.Errorf("%d observations, %d with groups, %d set aside, want %d, all with groups", out.observations, out.grouped, out.rejections, n)
	}
	// The entries take 20 MiB in the directory, several times that as objects.
	if grown := out.peak - out.heap; out.peak > out.heap && grown > 32<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}

	file := counter{}
	cert, err = open(t, ldap.Config{Name: "ldap", File: ldif}, nil).Extract(t.Context(), &file)
	if err != nil || !cert.Complete || file.sum != out.sum {
		t.Errorf("from the file: error %v, reason %q, same contents %v", err, cert.Reason, file.sum == out.sum)
	}
}

// counter is an Out that keeps nothing but counts, and looks at the heap.
type counter struct {
	observations, grouped, rejections int
	heap, peak                        uint64
	sum                               uint64 // of contents, in any order
}

func (c *counter) Observation(o people.Observation) error {
	c.observations++
	if claim, ok := o.Claim("access_information.ldap"); ok && claim.Value.Has("everyone") {
		c.grouped++
	}
	h := uint64(14695981039346656037) // FNV-1a
	for _, b := range o.AppendContent(nil) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	c.sum += h
	if c.observations%500 == 0 {
		c.peak = max(c.peak, heap())
	}
	return nil
}

func (c *counter) Rejection(people.Rejection) error { c.rejections++; return nil }

func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// writeMany writes n people of o=com, of 2 KiB each, who are in two groups.
func writeMany(t *testing.T, path string, n int) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "dn: o=com,%[1]s\nobjectClass: organization\no: com\n\ndn: ou=groups,%[1]s\nobjectClass: organizationalUnit\nou: groups\n\n", ldaptest.Suffix)
	about := strings.Repeat("a word and another ", 80)
	for i := range n {
		fmt.Fprintf(&b, "dn: uid=u%[1]d,o=com,%[2]s\nobjectClass: inetOrgPerson\nobjectClass: employee\nentryUUID: 00000000-0000-4000-8000-%012[1]d\n"+
			"createTimestamp: 20200101000000Z\nuid: u%[1]d\ncn: User %[1]d\nsn: Number%[1]d\nmail: u%[1]d@example.org\ndescription: %[3]s%[1]d\nsshPublicKey: ssh-ed25519 %[1]d\n\n",
			i, ldaptest.Suffix, about)
	}
	fmt.Fprintf(&b, "dn: cn=all,ou=groups,%[1]s\nobjectClass: groupOfNames\ncn: all\n", ldaptest.Suffix)
	for i := range n {
		fmt.Fprintf(&b, "member: uid=u%d,o=com,%s\n", i, ldaptest.Suffix)
	}
	fmt.Fprintf(&b, "\ndn: cn=everyone,ou=groups,%[1]s\nobjectClass: groupOfNames\ncn: everyone\nmember: cn=all,ou=groups,%[1]s\n", ldaptest.Suffix)
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// through returns the URL of a relay to the server at url that passes on
// limit bytes of what the server says; then it closes the connection, or says
// nothing more.
func through(t *testing.T, url string, limit int64, stall bool) string {
	t.Helper()
	scheme, address, _ := strings.Cut(url, "://")
	l := listen(t)
	accept(t, l, func(client net.Conn) {
		server, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		defer server.Close()
		go func() {
			io.Copy(server, client) // ends with either connection
			server.Close()
		}()
		io.CopyN(client, server, limit)
		if stall {
			io.Copy(io.Discard, server)
		}
	})
	return scheme + "://" + l.Addr().String()
}

// fake returns the URL and CA file of a server that accepts every bind, gives
// the answer to the first search, and is silent then.
func fake(t *testing.T, answer ...[]byte) (url, ca string) {
	t.Helper()
	dir := t.TempDir()
	ca = ldaptest.WriteCertificate(t, dir)
	pair, err := tls.LoadX509KeyPair(ca, filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	accept(t, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}}), func(c net.Conn) {
		if _, err := ber.ReadPacket(c); err != nil {
			return
		}
		c.Write(message(1, done(1, 0)))
		if _, err := ber.ReadPacket(c); err != nil {
			return
		}
		for _, a := range answer {
			c.Write(message(2, a))
		}
		io.Copy(io.Discard, c)
	})
	return "ldaps://" + l.Addr().String(), ca
}

// message wraps a response (RFC 4511 section 4.1.1).
func message(id byte, op []byte) []byte {
	return append([]byte{0x30, byte(3 + len(op)), 0x02, 0x01, id}, op...)
}

// done is a response of an application tag with a result code only.
func done(tag, code byte) []byte {
	return []byte{0x60 | tag, 7, 0x0a, 1, code, 0x04, 0, 0x04, 0}
}

// reference is a search result reference.
func reference(url string) []byte {
	return append([]byte{0x60 | 19, byte(2 + len(url)), 0x04, byte(len(url))}, url...)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// accept serves each connection, until the test ends.
func accept(t *testing.T, l net.Listener, serve func(net.Conn)) {
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.Close() })()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		cancel()
		wg.Wait()
	})
}
