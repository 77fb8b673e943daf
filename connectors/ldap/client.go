package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// A server reads entries over LDAP: one connection, which is one extract's.
//
// Timeouts are its own and not go-ldap's: that library's request timeout
// drops an entry, without an error, if the reader is busy for as long when
// the entry comes.
type server struct {
	host    string
	raw     net.Conn // below TLS, for deadlines
	conn    *ldap.Conn
	page    uint32
	timeout time.Duration
}

// errSilent is the cause of a search that was given up.
var errSilent = errors.New("the server was silent for longer than the timeout")

// dial connects, demands TLS, and binds.
func dial(ctx context.Context, c Config, tlsConfig *tls.Config, secret Secret) (_ *server, err error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, errors.New("url cannot be read")
	}
	var password string
	if !c.Anonymous {
		if password, err = secret(ctx); err != nil {
			return nil, fmt.Errorf("the password of the bind: %w", err)
		}
		if password == "" {
			return nil, errors.New("the password of the bind is empty")
		}
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldap": "389", "ldaps": "636"}[u.Scheme]
	}
	raw, err := (&net.Dialer{Timeout: c.Timeout}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	s := &server{host: u.Host, raw: raw, page: uint32(c.PageSize), timeout: c.Timeout}
	// Until the bind is done, the deadline of the connection bounds all, and
	// a cancelled context moves it to now.
	raw.SetDeadline(time.Now().Add(c.Timeout))
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	err = s.begin(u.Scheme, tlsConfig, c.BindDN, password)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	raw.SetDeadline(time.Time{})
	return s, nil
}

func (s *server) begin(scheme string, tlsConfig *tls.Config, bindDN, password string) error {
	if scheme == "ldaps" {
		secure := tls.Client(s.raw, tlsConfig)
		if err := secure.Handshake(); err != nil {
			return fmt.Errorf("TLS: %w", err)
		}
		s.conn = ldap.NewConn(secure, true)
		s.conn.Start()
	} else {
		s.conn = ldap.NewConn(s.raw, false)
		s.conn.Start()
		if err := s.conn.StartTLS(tlsConfig); err != nil {
			return fmt.Errorf("StartTLS: %w", result(err))
		}
	}
	if bindDN == "" {
		if err := s.conn.UnauthenticatedBind(""); err != nil {
			return fmt.Errorf("anonymous bind: %w", result(err))
		}
		return nil
	}
	if err := s.conn.Bind(bindDN, password); err != nil {
		return fmt.Errorf("bind: %w", result(err))
	}
	return nil
}

func (s *server) close() {
	s.raw.SetDeadline(time.Unix(1, 0)) // so that nothing waits for the peer
	if s.conn != nil {
		s.conn.Close()
	}
	s.raw.Close()
}

// read searches every base, page by page, and yields entries as they come.
func (s *server) read(ctx context.Context, q query, yield func(*entry) error) (bytes int64, end string, err error) {
	for _, base := range q.bases {
		paging := ldap.NewControlPaging(s.page)
		for {
			cookie, n, err := s.readPage(ctx, base, q, paging, yield)
			bytes += n
			if err != nil {
				return bytes, "", err
			}
			if len(cookie) == 0 {
				break
			}
			paging.SetCookie(cookie)
		}
	}
	return bytes, fmt.Sprintf("result 0 and empty page cookie of %d searches", len(q.bases)), nil
}

// readPage reads one page and returns the cookie of the next, empty if there
// is none. Only the paging control of the answer proves that the page ended:
// a search that is cancelled, timed out or lost its connection may end
// without an error.
func (s *server) readPage(ctx context.Context, base string, q query, paging *ldap.ControlPaging, yield func(*entry) error) (cookie []byte, bytes int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(s.timeout, func() { cancel(errSilent) })
	defer silence.Stop()

	search := s.conn.SearchAsync(ctx, &ldap.SearchRequest{
		BaseDN: base, Scope: ldap.ScopeWholeSubtree, DerefAliases: ldap.NeverDerefAliases,
		Filter: q.filter, Attributes: q.attributes, Controls: []ldap.Control{paging},
	}, 0)
	var proof *ldap.ControlPaging
	for search.Next() {
		silence.Stop() // what yield takes is not the server's time
		if search.Referral() != "" {
			return nil, bytes, errors.New("the server refers to another one, which is not followed")
		}
		if found := search.Entry(); found != nil {
			e, err := s.entry(found)
			if err != nil {
				return nil, bytes, err
			}
			bytes += e.bytes
			if err := yield(e); err != nil {
				return nil, bytes, err
			}
		} else if c, ok := ldap.FindControl(search.Controls(), ldap.ControlTypePaging).(*ldap.ControlPaging); ok {
			proof = c
		}
		silence.Reset(s.timeout)
	}
	switch cause := context.Cause(ctx); {
	case cause == errSilent:
		return nil, bytes, errSilent
	case cause != nil:
		return nil, bytes, cause
	case search.Err() != nil:
		return nil, bytes, fmt.Errorf("search: %w", result(search.Err()))
	case proof == nil && s.conn.IsClosing():
		return nil, bytes, errors.New("search: the connection was lost")
	case proof == nil:
		return nil, bytes, errors.New("search: no proof of the end: the answer has no paging control")
	}
	return proof.Cookie, bytes, nil
}

// entry takes what is wanted of a found entry.
func (s *server) entry(found *ldap.Entry) (*entry, error) {
	e := &entry{dn: found.DN, values: make(map[string][]string, len(found.Attributes)), bytes: int64(len(found.DN))}
	for _, a := range found.Attributes {
		attribute, options, _ := strings.Cut(strings.ToLower(a.Name), ";")
		if strings.Contains(options, "range=") {
			return nil, fmt.Errorf("the server gives only a part of the values of %s", attribute)
		}
		for _, v := range a.Values {
			e.bytes += int64(len(v))
		}
		if options == "" {
			e.values[attribute] = append(e.values[attribute], a.Values...)
		}
	}
	e.place = s.host + " " + e.dn
	if ids := e.values["entryuuid"]; len(ids) == 1 {
		e.place = s.host + " entryUUID=" + ids[0]
	}
	return e, nil
}

// result reduces an error of go-ldap to what holds no data of the directory:
// servers put names and values into their diagnostic messages.
func result(err error) error {
	var e *ldap.Error
	if errors.As(err, &e) && e.ResultCode < ldap.ErrorNetwork {
		return fmt.Errorf("result %d (%s)", e.ResultCode, ldap.LDAPResultCodeMap[e.ResultCode])
	}
	return err
}
