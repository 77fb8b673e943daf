package directory

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"example.org/cis/connectors/web"
)

// Config says where the directory is. Exactly one of URL and File is set.
type Config struct {
	// Name is the source's name, unique in the configuration.
	Name string `yaml:"name"`
	// The URL is that of the list of profiles. It may have a query, such as
	// active=any; nextPage is added to it.
	web.Config `yaml:",inline"`
	// Credentials are those of the client that may read. Its secret is given
	// to Open.
	web.Credentials `yaml:",inline"`
	// FindURL is where one profile is, on the same host, with {id} in its path
	// for the user_id. "" is URL/user_id/{id}. The CIS person API, whose list is
	// https://…/v2/users, has it at https://…/v2/user/user_id/{id}.
	FindURL string `yaml:"find_url"`
	// File is the path of a file instead: a profile a line, a list of them, or
	// one page that holds all, told apart by content. It may be compressed.
	File string `yaml:"file"`
	// GroupsAreWhole says that the groups shown are all that there are, so that
	// a profile without any says that the person is in none. nil is true.
	GroupsAreWhole *bool `yaml:"groups_are_whole"`
}

// Validate returns all complaints, joined. They repeat no URL, which may hold
// secrets.
func (c Config) Validate() error {
	var bad []error
	complain := func(format string, args ...any) { bad = append(bad, fmt.Errorf("directory: "+format, args...)) }
	if c.Name == "" {
		complain("name is missing")
	}
	for _, err := range web.Complaints(c.Config.Validate()) {
		complain("%w", err)
	}
	switch {
	case (c.URL == "") == (c.File == ""):
		complain("exactly one of url and file must be set")
	case c.File != "":
		if c.Credentials != (web.Credentials{}) || c.FindURL != "" {
			complain("token_url, client_id, client_auth, audience, scope and find_url go with url, not with file")
		}
	default:
		for _, err := range web.Complaints(c.Credentials.Validate()) {
			complain("%w", err)
		}
		if c.FindURL != "" {
			if err := c.checkFindURL(); err != nil {
				complain("find_url %w", err)
			}
		}
	}
	return errors.Join(bad...)
}

// placeholder stands for the user_id in FindURL.
const placeholder = "{id}"

func (c Config) checkFindURL() error {
	u, err := url.Parse(c.FindURL)
	base, baseErr := url.Parse(c.URL)
	switch {
	case err != nil || baseErr != nil:
		return errors.New("is not a URL")
	case u.Scheme != "https" || u.User != nil || u.Fragment != "":
		return errors.New("must begin with https://, without credentials and fragment")
	case !strings.EqualFold(u.Host, base.Host):
		return errors.New("is on another host than url")
	case strings.Count(u.Path, placeholder) != 1 || strings.Contains(u.RawQuery, placeholder):
		return errors.New("must have {id} in its path, once")
	}
	return nil
}

func (c Config) wholeGroups() bool { return c.GroupsAreWhole == nil || *c.GroupsAreWhole }
