package catalogue

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.org/cis/transforms/people"
)

// ErrPublisher is a change that the publisher has no right to make.
var ErrPublisher = errors.New("publisher not allowed")

// A Fault is an attribute that no publisher may write like this. Reason
// repeats no value.
type Fault struct {
	Path   people.Path
	Reason string
}

func (f Fault) Error() string { return fmt.Sprintf("catalogue: %q: %s", f.Path, f.Reason) }

// Judge says whether the publisher may change the attribute at path from
// stored to incoming: nil, an error that is [ErrPublisher], or a [Fault]. A
// stored attribute that is not there is the zero Attribute.
//
// What is the same in value, display and verified is always allowed. A nil
// for a publisher that only proposes ([Attribute.MayPropose]) means that the
// claim may be heard; the updater decides and signs.
func (c *Catalogue) Judge(publisher people.Publisher, path people.Path, stored, incoming people.Attribute) error {
	a, ok := c.Find(path)
	if !ok {
		return Fault{path, "no such attribute"}
	}
	if stored.Equal(people.Attribute{}) {
		stored = a.Null()
	}
	if incoming.SameContent(stored) {
		return nil
	}
	sameValue := incoming.Value.Equal(stored.Value)
	op, allowed := "update", people.Publisher("nobody")
	switch p, _ := c.Publisher(publisher); {
	case sameValue && p.MayEditDisplay:
		return a.judgeForm(incoming)
	case stored.Value.IsNull():
		if a.MayCreate(publisher) {
			return a.judgeForm(incoming)
		}
		op, allowed = "create", people.Publisher(join(a.Create))
	case a.MayUpdate(publisher), !sameValue && a.MayPropose(publisher):
		return a.judgeForm(incoming)
	case a.Update != "":
		allowed = a.Update
	}
	return fmt.Errorf("catalogue: %q may not %s %q, only %s may: %w", publisher, op, path, allowed, ErrPublisher)
}

// Fits returns the [Fault] of an attribute that could not stand at path whoever
// said it: there is none of that name, or its kind or display is another.
func (c *Catalogue) Fits(path people.Path, at people.Attribute) error {
	a, ok := c.Find(path)
	if !ok {
		return Fault{path, "no such attribute"}
	}
	return a.judgeForm(at)
}

// judgeForm returns the fault in the kind or display of an attribute.
func (a Attribute) judgeForm(at people.Attribute) error {
	switch {
	case !a.fits(at.Value):
		return Fault{a.Path, "the value is not a " + a.Kind.String()}
	case !a.Allows(at.Metadata.Display):
		return Fault{a.Path, "the display is not one of " + displayList(a.Displays)}
	}
	return nil
}

// fits reports whether v is of the attribute's kind or a null of it.
func (a Attribute) fits(v people.Value) bool {
	switch {
	case a.Kind == people.Null:
		return true
	case v.IsNull():
		return v.Plural() == (a.Kind == people.Map)
	}
	return v.Kind() == a.Kind
}

// Check returns the faults of a profile, whole or partial, as it stands: the
// same that the served schema finds, apart from attributes that are missing
// and from dates, of which old data has malformed ones.
func (c *Catalogue) Check(p *people.Profile) []Fault {
	var faults []Fault
	for _, n := range p.Attributes {
		add := func(format string, args ...any) {
			faults = append(faults, Fault{n.Path, fmt.Sprintf(format, args...)})
		}
		a, ok := c.Find(n.Path)
		if !ok {
			add("no such attribute")
			continue
		}
		if !a.fits(n.Value) {
			add("the value is not a %s", a.Kind)
		}
		if n.Metadata.Classification != a.Classification {
			add("the classification is not %s", a.Classification)
		}
		if !a.Allows(n.Metadata.Display) {
			add("the display is not one of %s", displayList(a.Displays))
		}
		if signers := c.signers(a); !slices.Contains(signers, people.Publisher(n.Signature.Publisher.Name)) {
			add("the publisher is not one of %s", join(signers))
		}
		for i, m := range append([]people.Mark{n.Signature.Publisher}, n.Signature.Additional...) {
			if !slices.Contains(algs(), m.Alg) || !slices.Contains(typs(), m.Typ) {
				add("signature %d is of no known alg and typ", i)
			}
		}
	}
	return faults
}

// signers lists the publishers that older clients accept in the attribute:
// those they know, and for attributes that extensions publish all.
func (c *Catalogue) signers(a Attribute) []people.Publisher {
	var known, all []people.Publisher
	own := false
	for _, p := range c.publishers {
		all = append(all, p.Name)
		if !p.Extension {
			known = append(known, p.Name)
		} else if a.MayCreate(p.Name) || a.MayUpdate(p.Name) {
			own = true
		}
	}
	if own {
		return all
	}
	return known
}

// The algorithms and types of signatures that profile v2 names.
func algs() []string { return []string{"HS256", "RS256", "RSA", "ED25519"} }
func typs() []string { return []string{"JWS", "PGP"} }

func join(publishers []people.Publisher) string {
	words := make([]string, len(publishers))
	for i, p := range publishers {
		words[i] = string(p)
	}
	return strings.Join(words, ", ")
}

func displayList(displays []string) string {
	words := make([]string, len(displays))
	for i, d := range displays {
		words[i] = displayWord(d)
	}
	return strings.Join(words, ", ")
}

func displayWord(d string) string {
	if d == "" {
		return "null"
	}
	return d
}
