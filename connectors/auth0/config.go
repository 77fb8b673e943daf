package auth0

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"example.org/cis/connectors/web"
)

// DefaultMaxBytes bounds an answer, an export or a file, uncompressed, where
// [Config] says nothing.
const DefaultMaxBytes = 4 << 30

// The ways to read users over HTTPS.
const (
	Export     = "export"
	Page       = "page"
	Checkpoint = "checkpoint"
)

// DefaultExportHosts are where Auth0 lets exports be downloaded: behind names
// of its own, or from Amazon's S3.
var DefaultExportHosts = []string{"*.auth0.com", "*.s3.amazonaws.com", "*.s3.*.amazonaws.com"}

// Config says where the users are. Exactly one of URL and File is set.
type Config struct {
	// Name is the source's name, unique in the configuration.
	Name string `yaml:"name"`
	// Config has the tenant's URL (https://TENANT.auth0.com), ca_file, timeout
	// and max_bytes. The CA file is for the host of exports as well.
	web.Config `yaml:",inline"`
	// Credentials are those of a machine-to-machine application with the scope
	// read:users. token_url is that of the tenant, audience that of its
	// Management API (the URL with /api/v2/) where they are left out. Without a
	// client_id the secret given to Open is the token itself.
	web.Credentials `yaml:",inline"`
	// Paging is the way to read: export (the default), page or checkpoint.
	Paging string `yaml:"paging"`
	// ExportHosts are the hosts from which an export may be downloaded, with a
	// port if it is not 443; * stands for any characters. Default:
	// DefaultExportHosts.
	ExportHosts []string `yaml:"export_hosts"`
	// File is the path of users as JSON lines or as a JSON array, compressed if
	// its name says so, instead of URL.
	File string `yaml:"file"`
	// Connections names the connections whose users are read; empty is all.
	// That of a user is the one in the user_id, not one linked to it.
	Connections []string `yaml:"connections"`
	// Groups says where the groups of users are, if anywhere.
	Groups Groups `yaml:"groups"`
}

// Groups maps a list of names to access_information.access_provider.
type Groups struct {
	// Field is the path of the list, app_metadata.… because users may change
	// everything else themselves. "" maps none.
	Field string `yaml:"field"`
	// Absent says what it means if a user has no such field: silent (the
	// default) or empty. A list that is there and empty is always empty.
	Absent string `yaml:"absent"`
}

var groupsField = regexp.MustCompile(`^app_metadata(\.[^.\s]+)+$`)

// Validate returns all complaints, joined. They hold nothing of the URLs, which
// may hold secrets.
func (c Config) Validate() error {
	var bad []error
	complain := func(format string, args ...any) { bad = append(bad, fmt.Errorf("auth0: "+format, args...)) }
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
		if c.Credentials != (web.Credentials{}) || c.Paging != "" || len(c.ExportHosts) > 0 {
			complain("credentials, paging and export_hosts go with url, not with file")
		}
	case c.ClientID == "":
		if c.Credentials != (web.Credentials{}) {
			complain("client_id is missing; without one the secret is the token itself, and nothing else of the credentials means anything")
		}
	default:
		for _, err := range web.Complaints(c.withDefaults().Credentials.Validate()) {
			complain("%w", err)
		}
	}
	if !slices.Contains([]string{"", Export, Page, Checkpoint}, c.Paging) {
		complain("paging must be export, page or checkpoint")
	}
	if len(c.ExportHosts) > 0 && (c.Paging == Page || c.Paging == Checkpoint) {
		complain("export_hosts goes with paging: export")
	}
	for _, p := range c.ExportHosts {
		if _, err := path.Match(p, ""); err != nil || p == "" || strings.ContainsAny(p, "/@ ") {
			complain("export_hosts: %q is no pattern of hosts", p)
		}
	}
	if slices.Contains(c.Connections, "") {
		complain("connections holds an empty name")
	}
	if c.Groups.Field != "" && !groupsField.MatchString(c.Groups.Field) {
		complain("groups.field must be a path below app_metadata, which users cannot change")
	}
	switch {
	case !slices.Contains([]string{"", "silent", "empty"}, c.Groups.Absent):
		complain("groups.absent must be silent or empty")
	case c.Groups.Absent != "" && c.Groups.Field == "":
		complain("groups.absent means nothing without groups.field")
	}
	return errors.Join(bad...)
}

// withDefaults fills in what c leaves out.
func (c Config) withDefaults() Config {
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.Paging == "" {
		c.Paging = Export
	}
	if len(c.ExportHosts) == 0 {
		c.ExportHosts = DefaultExportHosts
	}
	if c.ClientID != "" {
		tenant := strings.TrimSuffix(c.URL, "/")
		if c.TokenURL == "" {
			c.TokenURL = tenant + "/oauth/token"
		}
		if c.Audience == "" {
			c.Audience = tenant + "/api/v2/"
		}
	}
	return c
}
