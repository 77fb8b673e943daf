package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/api/auth"
	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
)

type configCommands struct {
	Check configCheckCommand `cmd:"" help:"Check the configuration, and say what it names and what is missing."`
}

type configCheckCommand struct{}

func (configCheckCommand) Help() string {
	return `Reads the configuration as every command does, and looks whether what it names is there. Nothing is changed and no server is asked.

Ends with 2 and all mistakes at once if a sync could not start: a wrong setting, a secret that cannot be read, a publisher without a key. A source that is not there is shown and is no mistake: a sync goes on without it.

Examples:

    cis config check
    CIS_ABSENCE_GRACE=96h cis config check --json`
}

// A part is one thing that the configuration names, and what is known of it.
type part struct {
	Setting string `json:"setting"`
	Value   string `json:"value"`
	State   string `json:"state"`
}

func (configCheckCommand) Run(ctx context.Context, p *program) error {
	c, err := p.load()
	if err != nil {
		return err
	}
	var complaints config.Complaints
	complain := func(format string, args ...any) {
		complaints = append(complaints, config.Complaint{File: c.Path, Message: fmt.Sprintf(format, args...)})
	}
	secret := func(setting string, s config.Secret) string {
		if s == "" {
			return ""
		}
		if _, err := s.Read(p.env); err != nil {
			complain("%s: %s", setting, err)
			return "cannot be read"
		}
		return "can be read" + openToOthers(s)
	}

	vault := there(c.Vault)
	if vault != missing {
		n, err := p.countPeople(ctx, c)
		if err != nil {
			complain("vault: %s", err)
		}
		vault = "there, " + show.Plural(n, "person", "people")
	}
	if _, err := openCatalogue(c); err != nil {
		more, _ := errors.AsType[config.Complaints](err)
		complaints = append(complaints, more...)
	}
	parts := []part{
		{"vault", c.Vault, vault},
		{"blobs", c.Blobs, there(c.Blobs)},
		{"keys", c.Keys, there(c.Keys)},
		{"salt", string(c.Salt), secret("salt", c.Salt)},
		{"catalogue", c.Catalogue, "built in"},
	}
	if c.Catalogue != "" {
		parts[len(parts)-1].State = present
	}
	parts = append(parts, p.checkAPI(ctx, c, complain)...)
	type source struct {
		Name      string `json:"name"`
		Type      string `json:"type"`
		Publisher string `json:"publisher"`
		Reads     string `json:"reads"`
		State     string `json:"state"`
	}
	var sources []source
	for _, s := range c.Sources {
		kind := sourceTypes()[s.Type]
		from := kind.from(s.Config)
		row := source{s.Name, s.Type, string(kind.publisher), from.file, ""}
		if from.url != "" {
			row.Reads, row.State = bareURL(from.url), secret("sources."+s.Name+"."+from.setting, from.secret)
		} else {
			row.State = there("file:" + from.file)
		}
		if from.keys != "" {
			if _, _, err := readKeys(ctx, from.keys); err != nil {
				complain("sources.%s.keys_file: %s", s.Name, strings.ReplaceAll(err.Error(), "\n", "; "))
			}
		}
		if opened, err := p.openSource(c, s); err != nil {
			complain("sources.%s: %s", s.Name, err)
		} else if err := opened.Close(); err != nil {
			complain("sources.%s: %s", s.Name, err)
		}
		sources = append(sources, row)
	}
	for _, from := range c.Signing.Trusted {
		if strings.Contains(from, "://") {
			continue // nothing is asked over the network
		}
		if _, _, err := readKeys(ctx, from); err != nil {
			complain("signing.trusted: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	rows, err := p.openKeys(c).list()
	if err != nil {
		complain("keys: %s", err)
	}
	for _, publisher := range lacking(rows, publishers(c)) {
		if err == nil {
			complain("keys: no key signs for %s: `cis keys new --all` makes what is missing", publisher)
		}
	}
	if len(complaints) > 0 {
		return complaints
	}

	result := struct {
		Config  string   `json:"config"`
		Parts   []part   `json:"parts"`
		Sources []source `json:"sources"`
		Keys    []keyRow `json:"keys"`
	}{c.Path, parts, sources, rows}
	return p.print(result, func(w io.Writer) error {
		settings := p.table("SETTING", "VALUE", "STATE")
		for _, s := range parts {
			settings.Row(s.Setting, s.Value, stateCell(s.State))
		}
		table := p.table("SOURCE", "TYPE", "PUBLISHER", "READS", "STATE")
		for _, s := range sources {
			table.Row(s.Name, s.Type, s.Publisher, s.Reads, stateCell(s.State))
		}
		for i, t := range []*show.Table{settings, table, p.keyTable(rows)} {
			if i > 0 && t.Len() > 0 {
				fmt.Fprintln(w)
			}
			if _, err := t.WriteTo(w); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(w, "\n%s is in order.\n", c.Path)
		return err
	})
}

// checkAPI returns what cis serve is to know, and complains of what it would
// refuse.
func (p *program) checkAPI(ctx context.Context, c *config.Config, complain func(string, ...any)) (parts []part) {
	a := &c.API
	show := func(setting, value, state string) {
		if value != "" {
			parts = append(parts, part{setting, value, state})
		}
	}
	show("api.url", a.URL, "")
	show("api.audience", a.Audience, "")
	for i, issuer := range a.Issuers {
		algorithms := strings.Join(issuer.Algorithms, ", ")
		if algorithms == "" {
			algorithms = "RS256"
		}
		keys := "keys by its own metadata"
		if issuer.JWKS != "" {
			keys = "keys at " + bareURL(issuer.JWKS)
		}
		show(fmt.Sprintf("api.issuers[%d]", i), issuer.Issuer, signsWith+algorithms+", "+keys)
	}
	for _, f := range []struct {
		setting, path, writes string
		check                 func(path string) error
	}{
		{"api.public_keys_file", a.PublicKeysFile, ": cis keys jwks > %s writes it", func(path string) error {
			_, _, err := readKeys(ctx, path)
			return err
		}},
		{"api.access_file", a.AccessFile, "", func(path string) error {
			b, err := os.ReadFile(path)
			if err == nil && !jsontext.Value(b).IsValid() {
				err = errors.New("it is not JSON")
			}
			return err
		}},
	} {
		if f.path == "" {
			continue
		}
		state := there("file:" + f.path)
		show(f.setting, f.path, state)
		if state == missing {
			near := nearby(f.path)
			complain("%s: there is no %s%s", f.setting, near, strings.ReplaceAll(f.writes, "%s", near))
		} else if err := f.check(f.path); err != nil {
			complain("%s: %s", f.setting, strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	show("api.public_keys_url", bareURL(a.PublicKeysURL), "")
	if len(a.Issuers) == 0 {
		show("cis serve", "no issuers", "only --dev")
	} else if verifier, err := auth.Open(authOptions(c, p.now, nil)); err != nil {
		complain("api: %s", strings.TrimPrefix(err.Error(), "auth: "))
	} else if err := verifier.Close(); err != nil {
		complain("api: %s", err)
	}
	if len(parts) > 1 || len(a.Issuers) > 0 {
		parts = append([]part{{"api.listen", a.Listen, ""}}, parts...)
	}
	return parts
}

// nearby is a path as it is said in the current folder.
func nearby(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

func (p *program) countPeople(ctx context.Context, c *config.Config) (int64, error) {
	vault, err := p.openVault(ctx, c, true)
	if err != nil {
		return 0, err
	}
	n, err := vault.Count(ctx)
	return n, errors.Join(err, vault.Close())
}

// The states of what stands on this machine.
const (
	present = "there"
	missing = "not there"

	signsWith = "signs with " // an issuer
)

// there says whether the path of a spec exists; of other places it says
// nothing.
func there(spec string) string {
	scheme, path, _ := strings.Cut(spec, ":")
	switch scheme {
	case "sqlite", "dir", "file":
	default:
		return ""
	}
	_, err := os.Stat(path)
	switch {
	case err == nil:
		return present
	case errors.Is(err, fs.ErrNotExist):
		return missing
	}
	return "cannot be looked at"
}

// openToOthers warns of a secret in a file that everybody may read. It is no
// mistake: clusters mount secrets so.
func openToOthers(s config.Secret) string {
	if path, ok := strings.CutPrefix(string(s), "file:"); ok {
		if stat, err := os.Stat(path); err == nil && stat.Mode().Perm()&0o077 != 0 {
			return fmt.Sprintf(", but not by you alone (mode %04o)", stat.Mode().Perm())
		}
	}
	return ""
}

func stateCell(state string) show.Cell {
	style := show.Yellow
	switch {
	case strings.HasPrefix(state, present), state == "can be read", state == "built in":
		style = show.Green
	case strings.HasPrefix(state, signsWith):
		style = show.Plain
	}
	return show.Cell{Text: state, Style: style}
}

// bareURL leaves out the query, which may hold what is not to be shown.
func bareURL(s string) string {
	s, _, _ = strings.Cut(s, "?")
	return s
}
