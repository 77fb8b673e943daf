package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/connectors/file"
	"example.org/cis/connectors/web"
	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

type verifyCommand struct {
	What           string `arg:"" optional:"" name:"who" help:"uuid, user_id, username, email, employee id or uid; or a file."`
	All            bool   `help:"Verify everybody."`
	Keys           string `placeholder:"FILE|URL" help:"The published keys to verify a file with (default: the configured ones)."`
	Person         string `placeholder:"UUID" help:"Whose profile a file is (default: what its attribute uuid says)."`
	RequireBinding bool   `help:"Refuse signatures that are bound to no person and attribute, whatever the configuration says."`
}

func (verifyCommand) Help() string {
	return `Verifies every signature of a person in the vault, of everybody, or of a file, against the published keys, and names what is wrong. Ends with 1 if anything is.

Signatures that are bound to a person and an attribute must be theirs; older ones without a binding verify unless signing.require_binding or --require-binding is set.

It is a file if --keys is given, if it is "-" (standard input), or if its name ends in .json or .jsonl (or that and .gz, .zst or .xz); otherwise it is a person. A file holds a profile, whole or partial, or several: one a line, a JSON array, or {"Items": [...]}; or the receipt of an erasure. Keys are {"<publisher>": {"keys": [...]}} or a well-known document with that under api.publishers_jwks, in a file or at an https URL; with them, no configuration is read. Where a profile has no uuid and --person is not given, nobody can say whether its signatures are bound to the right person: what was not checked is said. An unsigned uuid only says whose the rest is.

Examples:

    cis verify jdoe
    cis verify --all --json
    cis verify signed.json --keys https://auth.example.org/.well-known/mozilla-iam
    cis verify signed.json --keys keys.json --require-binding`
}

// A finding is what is wrong with an attribute, or with a whole profile.
type finding struct {
	Place     string      `json:"place,omitzero"`
	ID        people.ID   `json:"uuid,omitzero"`
	Attribute people.Path `json:"attribute,omitzero"`
	Wrong     string      `json:"wrong"`
}

func (c verifyCommand) Run(ctx context.Context, p *program) error {
	if (c.What == "") != c.All {
		return usageError{errors.New("say whom or what to verify, or --all")}
	}
	if c.isFile() {
		return c.file(ctx, p)
	}
	if c.Keys != "" || c.Person != "" {
		return usageError{errors.New("--keys and --person are for a file")}
	}
	cfg, err := p.load()
	if err != nil {
		return err
	}
	keys, err := p.trusted(ctx, cfg)
	if err != nil {
		return err
	}
	o, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	policy := c.policy(cfg)
	var checked, signatures int64
	findings := []finding{}
	check := func(s sinks.Stored, profile *people.Profile) error {
		checked++
		for _, n := range profile.Attributes {
			if n.Signature.Publisher.Value != "" {
				signatures++
			}
		}
		for _, f := range sign.Profile(keys, profile, policy) {
			findings = append(findings, finding{ID: s.ID, Attribute: f.Path, Wrong: f.Err.Error()})
		}
		if id, _ := people.ParseID(profile.Value(people.UUID).Text()); id != s.ID {
			findings = append(findings, finding{ID: s.ID, Attribute: people.UUID, Wrong: "the profile is of another person"})
		}
		return ctx.Err()
	}
	if c.All {
		err = each(ctx, o.store, check)
	} else {
		s, profile, ferr := o.find(ctx, c.What)
		if err = ferr; err == nil {
			err = check(s, profile)
		}
	}
	if err != nil {
		return err
	}
	result := map[string]any{"people": checked, "signatures": signatures, "wrong": findings}
	err = p.print(result, func(w io.Writer) error {
		return p.printFindings(w, "person", findings, fmt.Sprintf("%s of %s verified, %d wrong.",
			show.Plural(signatures, "signature", "signatures"), show.Plural(checked, "person", "people"), len(findings)))
	})
	return verdict(err, findings)
}

func (c verifyCommand) isFile() bool {
	if c.All || c.What == "-" || c.Keys != "" {
		return !c.All
	}
	name := c.What
	for _, packed := range []string{".gz", ".zst", ".xz"} {
		name = strings.TrimSuffix(name, packed)
	}
	return strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".jsonl")
}

// policy is the configured one, and what the command line adds.
func (c verifyCommand) policy(cfg *config.Config) sign.Policy {
	policy := sign.Policy{RequireBinding: c.RequireBinding || cfg.Signing.RequireBinding, Algorithms: map[people.Publisher][]string{}}
	for publisher, accepted := range cfg.Signing.Algorithms {
		policy.Algorithms[people.Publisher(publisher)] = accepted
	}
	return policy
}

// A fileCheck verifies the profiles of a file.
type fileCheck struct {
	keys   sign.Keys
	policy sign.Policy
	person people.ID // zero takes the profile's uuid

	// Receipts are of erasures (cis vault erase).
	Receipts   int64 `json:"receipts,omitzero"`
	Profiles   int64 `json:"profiles"`
	Signatures int64 `json:"signatures"`
	// Unbound signatures name neither person nor attribute.
	Unbound int64 `json:"unbound"`
	// Unchecked signatures name a person, and nothing says whose the profile is.
	Unchecked int64     `json:"binding_unchecked"`
	Wrong     []finding `json:"wrong"`
}

func (c verifyCommand) file(ctx context.Context, p *program) error {
	check := &fileCheck{Wrong: []finding{}}
	if c.Person != "" {
		id, err := people.ParseID(c.Person)
		if err != nil || id.IsZero() {
			return usageError{errors.New("--person: want a uuid in lower case")}
		}
		check.person = id
	}
	if c.Keys != "" {
		keys, skipped, err := readKeys(ctx, c.Keys)
		if err != nil {
			return fmt.Errorf("--keys: %w", err)
		}
		for _, s := range skipped {
			fmt.Fprintf(p.stderr, "cis: --keys: left out: %s\n", show.Clean(s.Error()))
		}
		check.keys, check.policy = keys, c.policy(&config.Config{})
	} else {
		cfg, err := p.load()
		if err != nil {
			return err
		}
		if check.keys, err = p.openKeys(cfg).public(); err != nil {
			return err
		}
		check.policy = c.policy(cfg)
	}
	in, err := p.openInput(c.What)
	if err != nil {
		return err
	}
	defer in.Close()
	err = readProfiles(in, func(place string, raw []byte) error {
		check.profile(place, raw)
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	err = p.print(check, func(w io.Writer) error {
		of := show.Plural(check.Profiles, "profile", "profiles")
		if receipts := show.Plural(check.Receipts, "receipt", "receipts"); check.Receipts > 0 && check.Profiles > 0 {
			of += " and " + receipts
		} else if check.Receipts > 0 {
			of = receipts
		}
		sum := fmt.Sprintf("%s of %s verified, %d wrong.", show.Plural(check.Signatures, "signature", "signatures"), of, len(check.Wrong))
		if check.Unbound > 0 {
			sum += fmt.Sprintf("\n%s bound to no person or attribute: they could have been moved here from elsewhere.",
				show.Plural(check.Unbound, "signature is", "signatures are"))
		}
		if check.Unchecked > 0 {
			sum += fmt.Sprintf("\n%s bound to a person, and nothing says whose profile this is: whether it is the right one was not checked (--person UUID).",
				show.Plural(check.Unchecked, "signature is", "signatures are"))
		}
		return p.printFindings(w, "profile", check.Wrong, sum)
	})
	return verdict(err, check.Wrong)
}

// receipt verifies the receipt of an erasure, if it is one.
func (c *fileCheck) receipt(place string, raw []byte) bool {
	var r sync.SignedReceipt
	if json.Unmarshal(raw, &r) != nil || r.JWS == "" || len(r.Receipt) == 0 {
		return false
	}
	c.Receipts++
	doc, err := sign.VerifyDocument(c.keys, people.CIS, sync.ReceiptTyp, r.JWS, c.policy)
	if err == nil {
		signed := jsontext.Value(doc)
		if signed.Canonicalize() != nil || r.Receipt.Canonicalize() != nil || string(signed) != string(r.Receipt) {
			err = errors.New("the receipt is not the one that was signed")
		}
	}
	if err != nil {
		c.Wrong = append(c.Wrong, finding{Place: place, Wrong: "receipt: " + err.Error()})
	} else {
		c.Signatures++
	}
	return true
}

// profile verifies one profile.
func (c *fileCheck) profile(place string, raw []byte) {
	if c.receipt(place, raw) {
		return
	}
	c.Profiles++
	var id people.ID
	wrong := func(path people.Path, why string) {
		c.Wrong = append(c.Wrong, finding{place, id, path, why})
	}
	p, err := people.ParseProfile(raw)
	if err != nil {
		wrong("", "not a profile: "+strings.TrimLeft(strings.TrimPrefix(err.Error(), "people:"), ": "))
		return
	}
	id = c.person
	if v := p.Value(people.UUID); !v.IsNull() {
		own, err := people.ParseID(v.Text())
		switch {
		case err != nil || own.IsZero():
			wrong(people.UUID, "not a uuid in lower case")
		case id.IsZero():
			id = own
		case own != id:
			wrong(people.UUID, "the profile is of another person")
		}
	}
	whose := id // to which the bindings are compared
	for _, n := range p.Attributes {
		if n.Signature.Publisher.Value == "" {
			// The uuid may stand there unsigned, to say whose the rest is.
			if !n.Value.IsNull() && n.Path != people.UUID {
				wrong(n.Path, sign.ErrUnsigned.Error())
			}
			continue
		}
		c.Signatures++
		sub, _, bound := sign.Bound(n.Attribute)
		if bound && whose.IsZero() {
			whose = sub // of whomever they are, all must be of one person
		}
		switch err := sign.Verify(c.keys, whose, n.Path, n.Attribute, c.policy); {
		case err != nil:
			wrong(n.Path, err.Error())
		case !bound:
			c.Unbound++
		case id.IsZero():
			c.Unchecked++
		}
	}
}

// printFindings prints a table of what is wrong, and then the sum of it all.
func (p *program) printFindings(w io.Writer, of string, findings []finding, sum string) error {
	t := p.table(of, "attribute", "wrong")
	for _, f := range findings {
		who := f.Place
		if !f.ID.IsZero() {
			who = strings.TrimPrefix(f.Place+" "+f.ID.String(), " ")
		}
		t.Row(orDash(who), orDash(string(f.Attribute)), f.Wrong)
	}
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	if len(findings) > 0 {
		sum = "\n" + sum
	}
	_, err := fmt.Fprintln(w, sum)
	return err
}

// verdict is the error of a command that has printed its findings.
func verdict(err error, findings []finding) error {
	if err == nil && len(findings) > 0 {
		err = printedError{errors.New(show.Plural(int64(len(findings)), "attribute is wrong", "attributes are wrong"))}
	}
	return err
}

// The limits of a document of published keys.
const (
	maxKeys     = 1 << 20
	keysTimeout = 10 * time.Second
)

// readKeys reads the published keys at a URL or in a file. Errors do not
// repeat the URL.
func readKeys(ctx context.Context, from string) (keys sign.Keys, skipped []error, err error) {
	var in io.ReadCloser
	if scheme, _, ok := strings.Cut(from, "://"); ok {
		if scheme != "https" {
			return nil, nil, usageError{errors.New("keys are read over https or from a file")}
		}
		client, err := web.New(web.Config{URL: from, Timeout: keysTimeout, MaxBytes: maxKeys}, nil, web.Options{Pauses: []time.Duration{}})
		if err != nil {
			return nil, nil, usageError{err}
		}
		defer client.Close()
		limited, cancel := context.WithTimeout(ctx, keysTimeout)
		defer cancel()
		if in, err = client.Do(limited, web.Request{}); err != nil {
			return nil, nil, lateKeys(ctx, err)
		}
	} else if in, err = file.Open(from); err != nil {
		return nil, nil, usageError{err}
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxKeys+1))
	switch {
	case err != nil:
		return nil, nil, lateKeys(ctx, err)
	case len(b) > maxKeys:
		return nil, nil, fmt.Errorf("the keys are over %d bytes", maxKeys)
	}
	if keys, skipped, err = sign.ParseKeys(b); err == nil && len(keys) == 0 {
		err = errors.Join(append([]error{errors.New(`no usable key in it; want {"<publisher>": {"keys": [...]}} or a well-known document with api.publishers_jwks`)}, skipped...)...)
	}
	return keys, skipped, err
}

// lateKeys says what an end of the time for reading keys means.
func lateKeys(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("not read whole within %s", show.Duration(keysTimeout))
	}
	return err
}
