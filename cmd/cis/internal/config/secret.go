package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// A Secret refers to a secret and holds none, so that it may be printed:
//
//	env:NAME   the value of an environment variable
//	file:PATH  the contents of a file, without the line end that closes it
//
// Paths are absolute once the configuration is loaded.
type Secret string

// Read returns the secret itself. Call it where it is used, not before, and
// keep it out of everything that is printed.
//
// Its errors hold nothing that may be a secret written in the place of a
// reference.
func (s Secret) Read(env Env) (string, error) {
	kind, where, _ := strings.Cut(string(s), ":")
	var value string
	switch kind {
	case "env":
		value = env[where]
		switch {
		case value != "":
		case !variableName.MatchString(where):
			return "", errors.New("what follows env: is not the name of a variable")
		default:
			return "", fmt.Errorf("the variable %s is not set", where)
		}
		return value, nil
	case "file":
		b, err := os.ReadFile(where)
		if err != nil {
			return "", fmt.Errorf("read a secret: %w", err)
		}
		value = strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
		if value == "" {
			return "", fmt.Errorf("the file %s is empty", where)
		}
		return value, nil
	}
	return "", errors.New("this is not a reference to a secret: put it in a file and say file:PATH, or in a variable and say env:NAME")
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// parseSecret checks that text is a reference and makes its path absolute.
func parseSecret(text, dir string) (Secret, error) {
	kind, where, ok := strings.Cut(text, ":")
	switch {
	case text == "":
		return "", nil
	case !ok || kind != "env" && kind != "file":
		return "", errors.New("a secret is never written into the configuration: put it into a variable or a file and write env:NAME or file:PATH")
	case where == "" || kind == "env" && strings.ContainsAny(where, " ="):
		return "", errors.New("want env:NAME or file:PATH")
	case kind == "file":
		where = within(dir, where)
	}
	return Secret(kind + ":" + where), nil
}

// isSecret reports whether a setting of this key holds a secret, whatever its
// type is.
func isSecret(key string) bool {
	for _, word := range []string{"password", "passphrase", "secret", "token", "private_key", "credential"} {
		if strings.Contains(key, word) && !strings.HasSuffix(key, "_file") && !strings.HasSuffix(key, "_url") {
			return true
		}
	}
	return key == "salt"
}
