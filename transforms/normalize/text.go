package normalize

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The longest forms, in bytes.
const (
	// MaxEmail is 64 for the local part, the sign and 255 for the domain (RFC 3696, erratum 1690).
	MaxEmail  = 320
	MaxUserID = 512
	// MaxText leaves room for the longest values in use, biographies and RSA-16384 keys.
	MaxText = 16 << 10
)

// Text trims s and brings it into Unicode normal form C. Line breaks are
// written as "\n". Other control characters except the tab, invalid UTF-8 and
// more than [MaxText] bytes are errors; "" is not.
func Text(s string) (string, error) {
	s, err := text(strings.ReplaceAll(s, "\r\n", "\n"), "\n\t", MaxText)
	if err != nil {
		return "", fmt.Errorf("normalize: text: %w", err)
	}
	return s, nil
}

// Line is [Text] of one line: breaks and tabs are errors as well.
func Line(s string) (string, error) {
	s, err := text(s, "", MaxText)
	if err != nil {
		return "", fmt.Errorf("normalize: line: %w", err)
	}
	return s, nil
}

// Email trims an address and writes it in lower case and normal form C. It
// asks for what every mail system asks for, one sign between two parts without
// spaces, and not for what RFC 5321 allows.
func Email(s string) (string, error) {
	s, err := text(s, "", MaxEmail)
	if err == nil {
		s = norm.NFC.String(strings.ToLower(s))
		local, domain, _ := strings.Cut(s, "@")
		switch {
		case s == "":
			err = errors.New("empty")
		case local == "" || domain == "" || strings.Contains(domain, "@"):
			err = errors.New("not one @ between two parts")
		case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }):
			err = errors.New("a space or an invisible character")
		case len(s) > MaxEmail:
			err = fmt.Errorf("longer than %d bytes", MaxEmail)
		}
	}
	if err != nil {
		return "", fmt.Errorf("normalize: email: %w", err)
	}
	return s, nil
}

// UserID trims a login id, "<connection>|…", and brings it into normal form
// C. Its case is kept: connections tell ids apart by it.
func UserID(s string) (string, error) {
	s, err := text(s, "", MaxUserID)
	if err == nil {
		if connection, id, _ := strings.Cut(s, "|"); connection == "" || id == "" {
			err = errors.New("not a connection and an id with | between them")
		}
	}
	if err != nil {
		return "", fmt.Errorf("normalize: user_id: %w", err)
	}
	return s, nil
}

// Username trims a username, which a person chose (2 to 64 of a-z, 0-9, _
// and -) or which [ID] made ("r--" and 24 characters of base64). Nobody can
// choose one that begins like those.
func Username(s string) (string, error) {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutPrefix(s, generated); ok {
		if b, err := usernames.DecodeString(rest); err != nil || len(b) != 16 {
			return "", fmt.Errorf("normalize: username: %s begins a generated name, and this is none", generated)
		}
		return s, nil
	}
	if len(s) < 2 || len(s) > 64 {
		return "", errors.New("normalize: username: not 2 to 64 characters")
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return "", errors.New("normalize: username: a character other than a-z, 0-9, _ and -")
		}
	}
	return s, nil
}

// text trims and composes s; of control characters only those in allowed may
// stand in it.
func text(s, allowed string, most int) (string, error) {
	if len(s) <= most && isPlain(s) {
		return s, nil
	}
	// Composing makes text at most three times as long (Unicode annex 15,
	// section 9): what is far too long is not even looked at.
	if len(s) > 4*most {
		return "", fmt.Errorf("longer than %d bytes", most)
	}
	if !utf8.ValidString(s) {
		return "", errors.New("not UTF-8")
	}
	s = norm.NFC.String(strings.TrimSpace(s))
	for _, r := range s {
		if unicode.IsControl(r) && !strings.ContainsRune(allowed, r) {
			return "", errors.New("a control character")
		}
	}
	if len(s) > most {
		return "", fmt.Errorf("longer than %d bytes", most)
	}
	return s, nil
}

// isPlain reports whether s is printable ASCII without a space at either end,
// which is its own normal form.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s == "" || s[0] != ' ' && s[len(s)-1] != ' '
}
