package github

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"example.org/cis/connectors/web"
)

// DefaultURL is where GitHub itself answers.
const DefaultURL = "https://api.github.com/"

// Config says which organisations are read and how.
type Config struct {
	// Name is the source's name, unique in the configuration.
	Name string `yaml:"name"`
	// URL is that of the API, of an Enterprise Server
	// https://HOST/api/v3/; "" is DefaultURL. MaxBytes bounds one answer,
	// or the file.
	web.Config `yaml:",inline"`
	// Organizations are the logins of those that are read. A file that has
	// others too is read without them; without any, all of it is read.
	Organizations []string `yaml:"organizations"`
	// App reads as an app, whose private key is then the secret of Open. The
	// zero App reads with a personal token, which is the secret then.
	App App `yaml:"app"`
	// Users reads the details of every account, of which the public email is
	// claimed: one request a person, though free of charge as long as nothing
	// of the person changes. Files have them or not.
	Users bool `yaml:"users"`
	// File is the path of a file with organisations, plain or compressed,
	// instead of all of the above but Organizations and MaxBytes.
	File string `yaml:"file"`
}

// An App is a GitHub App.
type App struct {
	// AppID is the app's number, on its page of settings.
	AppID int64 `yaml:"app_id"`
	// InstallationID is the number of its installation, if no other will do.
	// 0 takes the one of each organisation.
	InstallationID int64 `yaml:"installation_id"`
}

// login is what GitHub lets organisations be called, now and in the past.
var login = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

// Validate returns all complaints, joined. They hold nothing of the URL.
func (c Config) Validate() error {
	var bad []error
	complain := func(format string, args ...any) { bad = append(bad, fmt.Errorf("github: "+format, args...)) }
	if c.Name == "" {
		complain("name is missing")
	}
	if c.File != "" {
		if c.URL != "" || c.CAFile != "" || c.Timeout != 0 || c.App != (App{}) || c.Users {
			complain("url, ca_file, timeout, app and users mean nothing for a file")
		}
	} else {
		c = c.withURL() // web has ca_file go with one
		if len(c.Organizations) == 0 {
			complain("organizations is missing")
		}
		if strings.ContainsRune(c.URL, '?') {
			complain("url must not have a query")
		}
	}
	for _, err := range web.Complaints(c.Config.Validate()) {
		complain("%w", err)
	}
	seen := map[string]bool{}
	for _, o := range c.Organizations {
		if !login.MatchString(o) {
			complain("organizations: %q is not the login of one", o)
		}
		if seen[strings.ToLower(o)] {
			complain("organizations: %q occurs twice", o)
		}
		seen[strings.ToLower(o)] = true
	}
	switch {
	case c.App.AppID < 0 || c.App.InstallationID < 0:
		complain("app: app_id and installation_id are positive numbers")
	case c.App.AppID == 0 && c.App.InstallationID != 0:
		complain("app: app_id is missing")
	case c.App.InstallationID != 0 && len(c.Organizations) > 1:
		complain("app: an installation_id is of one organization; leave it out to use that of each")
	}
	return errors.Join(bad...)
}

// withURL returns c with the URL that it means, which ends in a slash so that
// paths are below it.
func (c Config) withURL() Config {
	if c.URL == "" {
		c.URL = DefaultURL
	}
	c.URL = strings.TrimSuffix(c.URL, "/") + "/"
	return c
}

// mappingVersion changes whenever equal organisations give other observations.
const mappingVersion = "github 1"

// hash identifies what turns organisations into observations.
func (c Config) hash() string {
	sum := sha256.Sum256([]byte(mappingVersion + "\x00" + strconv.FormatBool(c.Users || c.File != "")))
	return hex.EncodeToString(sum[:8])
}
