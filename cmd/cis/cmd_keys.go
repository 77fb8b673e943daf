package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

type keysCommands struct {
	New    keysNewCommand    `cmd:"" help:"Make a signing key."`
	List   keysListCommand   `cmd:"" help:"List the signing keys."`
	Rotate keysRotateCommand `cmd:"" help:"Make a key that signs from now on."`
	Use    keysUseCommand    `cmd:"" help:"Let another key of a publisher sign."`
	Retire keysRetireCommand `cmd:"" help:"Delete a key that no longer signs."`
	JWKS   keysJWKSCommand   `cmd:"" name:"jwks" help:"Print the public keys of all publishers."`
}

// A keyRow is what is shown of a key.
type keyRow struct {
	Publisher string    `json:"publisher"`
	ID        string    `json:"kid"`
	Algorithm string    `json:"alg"`
	Bits      int       `json:"bits"`
	Created   time.Time `json:"created"`
	Signs     bool      `json:"signs"`
}

const aboutAlgorithms = `RS256 is the default because older clients verify nothing else, and read only the first key of a publisher. EdDSA (Ed25519) signs 40 times faster; choose it where every client is known to verify it. RSA keys are always published first.`

// An algorithm is the choice of one.
type algorithm struct {
	Alg  string `enum:"RS256,EdDSA" default:"RS256" help:"Algorithm: ${enum}."`
	Bits int    `placeholder:"N" help:"Size of an RSA key, 2048 to 8192 (default: 2048)."`
}

func (a algorithm) check() (alg string, bits int, err error) {
	switch {
	case a.Alg == sign.EdDSA && a.Bits != 0:
		return "", 0, usageError{errors.New("--bits means nothing for EdDSA, whose keys have one size")}
	case a.Alg == sign.RS256 && a.Bits == 0:
		return a.Alg, 2048, nil
	case a.Alg == sign.RS256 && (a.Bits < 2048 || a.Bits > 8192):
		return "", 0, usageError{errors.New("--bits: want 2048 to 8192")}
	}
	return a.Alg, a.Bits, nil
}

type keysNewCommand struct {
	Publisher string `arg:"" optional:"" help:"Whose key it is, such as ldap."`
	All       bool   `help:"Make one for each publisher of the configuration that has none."`
	algorithm
}

func (keysNewCommand) Help() string {
	return aboutAlgorithms + `

The first key of a publisher signs at once. A further one is only published, so that clients (some look once a day) know it before "cis keys use" lets it sign.

Examples:

    cis keys new --all
    cis keys new hris --bits 4096
    cis keys new ldap --alg EdDSA`
}

func (k keysNewCommand) Run(p *program) error {
	alg, bits, err := k.check()
	if err != nil {
		return err
	}
	if (k.Publisher == "") != k.All {
		return usageError{errors.New("want either a publisher or --all")}
	}
	c, err := p.load()
	if err != nil {
		return err
	}
	keys := p.openKeys(c)
	wanted := []people.Publisher{people.Publisher(k.Publisher)}
	if k.All {
		rows, err := keys.list()
		if err != nil {
			return err
		}
		wanted = lacking(rows, publishers(c))
	} else if err := knownPublisher(c, k.Publisher); err != nil {
		return err
	}
	made, err := makeKeys(keys, wanted, alg, bits)
	if err != nil {
		return err
	}
	return p.printKeys(made, "Every publisher of the configuration has a key.")
}

// makeKeys makes a key for each publisher.
func makeKeys(keys keyring, wanted []people.Publisher, alg string, bits int) ([]keyRow, error) {
	var made []keyRow
	for _, publisher := range wanted {
		row, err := keys.add(publisher, alg, bits, false)
		if err != nil {
			return made, err
		}
		made = append(made, row)
	}
	return made, nil
}

type keysListCommand struct{}

func (keysListCommand) Help() string {
	return `Lists the keys in the order in which they are published. Private keys are never shown.

Example:

    cis keys list`
}

func (keysListCommand) Run(p *program) error {
	c, err := p.load()
	if err != nil {
		return err
	}
	rows, err := p.openKeys(c).list()
	if err != nil {
		return err
	}
	return p.printKeys(rows, "There are no keys: `cis keys new --all` makes them.")
}

type keysRotateCommand struct {
	Publisher string `arg:"" help:"Whose key it is, such as ldap."`
	Alg       string `enum:"same,RS256,EdDSA" default:"same" help:"Algorithm: ${enum}."`
	Bits      int    `placeholder:"N" help:"Size of an RSA key, 2048 to 8192 (default: as before)."`
}

func (keysRotateCommand) Help() string {
	return `Makes a key that signs from now on. The older ones stay published, so that what they signed still verifies. Clients that have not read the published keys since will refuse new signatures until they do: "cis keys new" and, a day later, "cis keys use" spare them that. ` + aboutAlgorithms + `

Example:

    cis keys rotate hris`
}

func (k keysRotateCommand) Run(p *program) error {
	c, err := p.load()
	if err != nil {
		return err
	}
	keys := p.openKeys(c)
	rows, err := keys.list()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(rows, func(r keyRow) bool { return r.Publisher == k.Publisher && r.Signs })
	if i < 0 {
		return noKeys(k.Publisher)
	}
	if k.Alg == "same" {
		k.Alg = rows[i].Algorithm
	}
	if k.Alg == sign.RS256 && k.Bits == 0 && rows[i].Algorithm == sign.RS256 {
		k.Bits = rows[i].Bits
	}
	alg, bits, err := algorithm{k.Alg, k.Bits}.check()
	if err != nil {
		return err
	}
	row, err := keys.add(people.Publisher(k.Publisher), alg, bits, true)
	if err != nil {
		return err
	}
	return p.printKeys([]keyRow{row}, "")
}

type keysUseCommand struct {
	Publisher string `arg:"" help:"Whose key it is."`
	Kid       string `arg:"" help:"The key, as cis keys list names it."`
}

func (keysUseCommand) Help() string {
	return `From now on the key signs; the publisher's other keys stay published.

Example:

    cis keys use hris pTr0x1Yc_kQzG5Wd`
}

func (k keysUseCommand) Run(p *program) error {
	return p.withKey(k.Publisher, k.Kid, keyring.use, true)
}

type keysRetireCommand struct {
	Publisher string `arg:"" help:"Whose key it is."`
	Kid       string `arg:"" help:"The key, as cis keys list names it."`
}

func (keysRetireCommand) Help() string {
	return `Deletes the key for good. What it signed and nobody has signed again no longer verifies: "cis verify --all" says beforehand whether there is any. The key that signs is refused.

Example:

    cis keys retire hris pTr0x1Yc_kQzG5Wd`
}

func (k keysRetireCommand) Run(p *program) error {
	return p.withKey(k.Publisher, k.Kid, keyring.retire, false)
}

// withKey does something to one key and shows the publisher's keys after it.
// Signs is whether the key may be the one that signs.
func (p *program) withKey(publisher, kid string, do func(keyring, people.Publisher, string) error, signs bool) error {
	c, err := p.load()
	if err != nil {
		return err
	}
	keys := p.openKeys(c)
	rows, err := keys.list()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(rows, func(r keyRow) bool { return r.Publisher == publisher && r.ID == kid })
	switch {
	case i < 0 && !slices.ContainsFunc(rows, func(r keyRow) bool { return r.Publisher == publisher }):
		return noKeys(publisher)
	case i < 0:
		return usageError{fmt.Errorf("%s has no such key: `cis keys list` names those there are", publisher)}
	case rows[i].Signs && !signs:
		return usageError{fmt.Errorf("this key signs for %s: `cis keys rotate %s` makes another one first", publisher, publisher)}
	}
	if err := do(keys, people.Publisher(publisher), kid); err != nil {
		return err
	}
	if rows, err = keys.list(); err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r keyRow) bool { return r.Publisher != publisher })
	return p.printKeys(rows, "")
}

type keysJWKSCommand struct {
	Own bool `help:"Only keys that are kept here, not those of sources that sign themselves."`
}

func (keysJWKSCommand) Help() string {
	return `Prints the public keys as they stand in the well-known document under api.publishers_jwks: {"<publisher>": {"keys": [...]}}. Those of a source that signs itself, such as a people directory with keys_url or keys_file, are among them, so that every stored attribute verifies by what is printed.

Example:

    cis keys jwks > jwks.json`
}

func (k keysJWKSCommand) Run(ctx context.Context, p *program) error {
	c, err := p.load()
	if err != nil {
		return err
	}
	public, err := p.openKeys(c).public()
	if !k.Own {
		public, err = p.trusted(ctx, c)
	}
	if err != nil {
		return err
	}
	return show.JSON(p.stdout, jsontext.Value(public.AppendJSON(nil)))
}

// lacking are the publishers for whom no key signs.
func lacking(rows []keyRow, wanted []people.Publisher) []people.Publisher {
	return slices.DeleteFunc(slices.Clone(wanted), func(publisher people.Publisher) bool {
		return slices.ContainsFunc(rows, func(r keyRow) bool { return r.Publisher == string(publisher) && r.Signs })
	})
}

func noKeys(publisher string) error {
	return usageError{fmt.Errorf("%q has no keys: `cis keys list` shows who has", publisher)}
}

// knownPublisher refuses names that the catalogue does not know.
func knownPublisher(c *config.Config, name string) error {
	known, err := openCatalogue(c)
	if err != nil {
		return err
	}
	var names []string
	for _, publisher := range known.Publishers() {
		names = append(names, string(publisher.Name))
	}
	if slices.Contains(names, name) {
		return nil
	}
	return usageError{fmt.Errorf("the catalogue has no publisher %q: want one of %s", name, strings.Join(names, ", "))}
}

func (p *program) keyTable(rows []keyRow) *show.Table {
	t := p.table("PUBLISHER", "KID", "ALG", ">BITS", "CREATED", "")
	for _, r := range rows {
		state := show.Cell{Text: "published", Style: show.Dim}
		if r.Signs {
			state = show.Cell{Text: "signs", Style: show.Green}
		}
		t.Row(r.Publisher, r.ID, r.Algorithm, fmt.Sprint(r.Bits), r.Created.Format("2006-01-02 15:04"), state)
	}
	return t
}

func (p *program) printKeys(rows []keyRow, none string) error {
	return p.print(struct {
		Keys []keyRow `json:"keys"`
	}{rows}, func(w io.Writer) error {
		if len(rows) == 0 {
			_, err := fmt.Fprintln(w, none)
			return err
		}
		_, err := p.keyTable(rows).WriteTo(w)
		return err
	})
}
