package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
)

type explainCommand struct {
	Who       string `arg:"" help:"Anything that leads, or once led, to a person."`
	Attribute string `arg:"" optional:"" help:"Only this attribute, with its whole story."`
}

func (explainCommand) Help() string {
	return `Says why a profile is what it is: of each attribute the value, who said so in which record, the rule that let it win, what the other sources said and why that lost, since when, and whether the signature holds. With an attribute it also tells the history and what would have to change for another value to stand there.

Of somebody who is not there it says what was found under that key: a record that was set aside or attaches to nobody, what a human decided, who once had the login. Then it ends with 1.

Examples:

    cis explain jdoe
    cis explain jdoe first_name
    cis explain jdoe --json`
}

// An origin of a value: the last change that made it what it is.
type provenance struct {
	Revision int64            `json:"revision"`
	Rule     string           `json:"rule,omitzero"`
	Source   people.Publisher `json:"source,omitzero"`
	// TrueSince is when the source was first seen to say so, RecordedAt when
	// it was written.
	TrueSince  time.Time      `json:"true_since,omitzero"`
	RecordedAt time.Time      `json:"recorded_at"`
	Cause      people.Cause   `json:"cause"`
	Before     people.Content `json:"before"`
}

// An explained attribute.
type explained struct {
	merge.Explanation
	// Record and Place are those of the source whose word it is.
	Record string `json:"record,omitzero"`
	Place  string `json:"place,omitzero"`
	// Since says how the value came to be; there is none of a profile that was
	// imported.
	Since     *provenance  `json:"since,omitzero"`
	Signature signature    `json:"signature"`
	History   []provenance `json:"history,omitzero"`
}

// A signature is what can be said of one.
type signature struct {
	Publisher string `json:"publisher,omitzero"`
	Algorithm string `json:"algorithm,omitzero"`
	Bound     bool   `json:"bound,omitzero"`
	Verifies  bool   `json:"verifies"`
	Wrong     string `json:"wrong,omitzero"`
}

// A record is one source's record of a person.
type recordRow struct {
	Publisher people.Publisher `json:"publisher"`
	Source    string           `json:"source,omitzero"`
	Record    string           `json:"record"`
	Lifecycle people.Lifecycle `json:"lifecycle"`
	SeenAt    time.Time        `json:"seen_at"`
	Place     string           `json:"place,omitzero"`
	Decision  *sync.Link       `json:"decision,omitzero"`
}

// An explanation is all of it.
type explanation struct {
	Person     people.ID        `json:"person"`
	UserID     string           `json:"user_id"`
	Name       string           `json:"name"`
	Active     bool             `json:"active"`
	Revision   int64            `json:"revision"`
	Former     []string         `json:"former_user_ids,omitzero"`
	Authority  people.Publisher `json:"lifecycle_authority,omitzero"`
	Records    []recordRow      `json:"records"`
	Attributes []explained      `json:"attributes"`
	Apart      []sync.Link      `json:"kept_apart,omitzero"`
}

func (c explainCommand) Run(ctx context.Context, p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	cat, err := openCatalogue(cfg)
	if err != nil {
		return err
	}
	o, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer o.Close()
	s, profile, err := o.find(ctx, c.Who)
	if errors.Is(err, errNobody) {
		return c.nobody(ctx, p, o)
	}
	if err != nil {
		return err
	}
	only := people.Path(c.Attribute)
	if _, ok := cat.Find(only); only != "" && !ok {
		return usageError{fmt.Errorf("no attribute is called %s: `cis person get %s --all` lists them", c.Attribute, c.Who)}
	}
	x, err := p.explain(ctx, o, cfg, cat, s, profile, only)
	if err != nil {
		return err
	}
	return p.print(x, func(w io.Writer) error {
		if only != "" {
			return p.showStory(w, x, cat)
		}
		return p.showExplanation(w, x)
	})
}

// explain gathers what can be said of a person, or of one attribute.
func (p *program) explain(ctx context.Context, o *opened, cfg *config.Config, cat *catalogue.Catalogue, s sinks.Stored, profile *people.Profile, only people.Path) (explanation, error) {
	x := explanation{Person: s.ID, UserID: profile.Value(people.UserID).Text(), Name: nameOf(profile), Active: profile.Value(people.Active).True(), Revision: s.Revision, Attributes: []explained{}, Records: []recordRow{}}
	evidence, err := unpackEvidence(s)
	if err != nil {
		return x, err
	}
	keys, err := p.trusted(ctx, cfg)
	if err != nil {
		return x, err
	}
	decisions, err := sync.Links(ctx, o.store)
	if err != nil {
		return x, err
	}
	revisions, err := o.history(ctx, s.ID)
	if err != nil {
		return x, err
	}
	sources := map[people.Publisher]string{}
	for _, src := range cfg.Sources {
		sources[sourceTypes()[src.Type].publisher] = src.Name
	}
	x.Former, x.Authority = evidence.Former, merge.Authority(&evidence)
	for _, ob := range evidence.Observations {
		row := recordRow{ob.Publisher, sources[ob.Publisher], ob.Record, ob.Lifecycle, ob.SeenAt, ob.Place, nil}
		for _, d := range decisions {
			if d.Publisher == ob.Publisher && d.Record == ob.Record && d.Person == s.ID {
				row.Decision = &d
			}
		}
		x.Records = append(x.Records, row)
	}
	for _, d := range decisions {
		if d.Person == s.ID && d.Apart {
			x.Apart = append(x.Apart, d)
		}
	}
	in := merge.Input{ID: s.ID, Stored: profile, Evidence: evidence, Catalogue: cat, Now: p.now(),
		Protected: slices.Contains(cfg.Protected, x.UserID) || slices.ContainsFunc(evidence.Former, func(id string) bool { return slices.Contains(cfg.Protected, id) })}
	for _, n := range profile.Attributes {
		if only != "" && n.Path != only {
			continue
		}
		told := story(revisions, n.Path)
		var source people.Publisher
		for _, t := range told {
			if !t.Before.Value.Equal(n.Value) && source == "" {
				source = t.Source
			}
		}
		if source == "" && len(told) == 0 && n.Signature.Publisher.Value != "" && n.Signature.Publisher.Name != string(people.CIS) {
			source = people.Publisher(n.Signature.Publisher.Name) // imported: whoever signed it
		}
		e, ok := merge.Explain(in, n.Path, source)
		if !ok {
			continue // the catalogue has it no more
		}
		ex := explained{Explanation: e, Signature: signatureOf(keys, s.ID, n, p.policy(cfg))}
		if ob := evidence.Find(e.Source); ob != nil {
			ex.Record, ex.Place = ob.Record, ob.Place
		}
		if len(told) > 0 {
			ex.Since = &told[0]
		}
		if only != "" {
			ex.History = told
		}
		x.Attributes = append(x.Attributes, ex)
	}
	return x, nil
}

func (p *program) policy(c *config.Config) sign.Policy { return verifyCommand{}.policy(c) }

func signatureOf(keys sign.Keys, id people.ID, n people.Named, policy sign.Policy) signature {
	if n.Signature.Publisher.Value == "" {
		return signature{}
	}
	sig := signature{Publisher: n.Signature.Publisher.Name, Algorithm: n.Signature.Publisher.Alg}
	_, _, sig.Bound = sign.Bound(n.Attribute)
	if err := sign.Verify(keys, id, n.Path, n.Attribute, policy); err != nil {
		sig.Wrong = err.Error()
	} else {
		sig.Verifies = true
	}
	return sig
}

// history reads all revisions of a person, oldest first.
func (o *opened) history(ctx context.Context, id people.ID) ([]people.Revision, error) {
	docs, err := o.store.History(ctx, id, 0)
	if err != nil {
		return nil, fmt.Errorf("cis: read history: %w", err)
	}
	list := make([]people.Revision, len(docs))
	for i, d := range docs {
		if list[i], err = sync.UnpackRevision(d.Doc); err != nil {
			return nil, fmt.Errorf("cis: %s: %w", id, err)
		}
	}
	return list, nil
}

// story lists the changes of one attribute, newest first.
func story(revisions []people.Revision, path people.Path) (list []provenance) {
	for _, r := range slices.Backward(revisions) {
		for _, op := range r.Operations {
			for _, ch := range op.Changes {
				if ch.Path == path {
					list = append(list, provenance{r.Number, ch.Rule, cmp.Or(ch.Source, op.Source), ch.Since, r.RecordedAt, r.Cause, ch.Old})
				}
			}
		}
	}
	return list
}

// showExplanation prints everything about a person: their records, each
// attribute that has a value in a line, what was said and not taken, and what
// nobody says anything about.
func (p *program) showExplanation(w io.Writer, x explanation) error {
	p.showWho(w, x)
	t := p.table("attribute", "value", "said by", "rule", "since", "signed")
	var empty []string
	for _, a := range x.Attributes {
		if a.Content.Value.IsNull() {
			empty = append(empty, string(a.Path))
			continue
		}
		since, rule := "", ""
		if a.Since != nil {
			since, rule = day(a.Since.RecordedAt), a.Since.Rule
		}
		t.Row(string(a.Path), clip(valueText(a.Content.Value), 36), whose(a), rule, since, a.Signature.cell())
	}
	fmt.Fprintln(w)
	if _, err := t.WriteTo(w); err != nil {
		return err
	}
	t = p.table("attribute", "who", "says", "and")
	for _, a := range x.Attributes {
		for _, word := range a.Words {
			if !word.Counts && (word.Says == merge.SaysValue || word.Says == merge.SaysEmpty) && strings.HasPrefix(word.Reason, "not taken") {
				t.Row(string(a.Path), string(word.Publisher), saying(word), word.Reason)
			}
		}
	}
	if t.Len() > 0 {
		fmt.Fprintln(w, "\nAlso said:")
		fmt.Fprintln(w)
		if _, err := t.WriteTo(w); err != nil {
			return err
		}
	}
	for _, a := range x.Attributes {
		if a.Pending != nil {
			fmt.Fprintf(w, "\nThe next sync would change %s, unless a guard holds it.\n", a.Path)
		}
	}
	if len(empty) > 0 {
		fmt.Fprintf(w, "\nWithout a value: %s.\n", strings.Join(empty, ", "))
	}
	_, err := fmt.Fprintf(w, "\nMore about one attribute: cis explain %s ATTRIBUTE\n", x.Person)
	return err
}

func (p *program) showWho(w io.Writer, x explanation) {
	state := "inactive"
	if x.Active {
		state = "active"
	}
	fmt.Fprintf(w, "%s  %s, revision %d\n%s, %s\n", show.Clean(x.Name), state, x.Revision, x.Person, show.Clean(x.UserID))
	if len(x.Former) > 0 {
		fmt.Fprintf(w, "formerly %s\n", show.Clean(strings.Join(x.Former, ", ")))
	}
	t := p.table("record of", "id", "state", "read", "where")
	for _, r := range x.Records {
		state := string(r.Lifecycle)
		if r.Publisher == x.Authority {
			state += ", decides who is here"
		}
		if r.Decision != nil {
			state += ", linked by " + r.Decision.By
		}
		t.Row(cmp.Or(r.Source, string(r.Publisher)), r.Record, state, day(r.SeenAt), r.Place)
	}
	if t.Len() > 0 {
		fmt.Fprintln(w)
		_, _ = t.WriteTo(w)
	}
	for _, d := range x.Apart {
		fmt.Fprintf(w, "\nThe record %s of %s was kept apart by %s on %s: %s\n", show.Clean(d.Record), d.Publisher, show.Clean(d.By), day(d.At), show.Clean(d.Reason))
	}
}

// clip shortens text where a line has much to say.
func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// whose is whose word a value is; of a composed map all that have keys in it.
func whose(a explained) string {
	if len(a.Keys) == 0 {
		return cmp.Or(string(a.Source), string(people.CIS))
	}
	var list []string
	for _, p := range a.Keys {
		if !slices.Contains(list, string(p)) {
			list = append(list, string(p))
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (s signature) cell() show.Cell {
	switch {
	case s.Verifies:
		return show.Cell{Text: s.Publisher, Style: show.Green}
	case s.Wrong != "":
		return show.Cell{Text: "wrong", Style: show.Red}
	}
	return show.Cell{Text: "-"}
}

func saying(w merge.Word) string {
	switch w.Says {
	case merge.SaysValue:
		return valueText(w.Value)
	case merge.SaysEmpty:
		return "(empty)"
	case merge.NoRecord:
		return "-"
	}
	return "nothing"
}

// showStory prints everything about one attribute.
func (p *program) showStory(w io.Writer, x explanation, cat *catalogue.Catalogue) error {
	if len(x.Attributes) == 0 {
		return errors.New("cis: the profile does not have that attribute")
	}
	a := x.Attributes[0]
	attr, _ := cat.Find(a.Path)
	fmt.Fprintf(w, "%s of %s\n%s\n\n", a.Path, show.Clean(x.Name), attr.Description)
	line := func(what, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", what, show.Clean(fmt.Sprintf(format, args...)))
	}
	value := a.Content.Value
	switch {
	case value.IsNull():
		line("Value", "none")
	case value.Kind() == people.Map:
		line("Value", "%s", show.Plural(int64(len(value.Entries())), "key", "keys"))
		for _, e := range value.Entries() {
			whose := ""
			if owner := a.Keys[e.Key]; owner != "" {
				whose = "  (" + string(owner) + ")"
			}
			line("", "%s%s", entry(e), whose)
		}
	default:
		line("Value", "%s", brief(value))
	}
	if !value.IsNull() {
		verified := ""
		if !a.Content.Verified {
			verified = ", not verified"
		}
		line("Seen by", "%s%s: %s", orNull(a.Content.Display), verified, a.Display)
		by := whose(a)
		if a.Record != "" && len(a.Keys) == 0 {
			by += ", record " + a.Record
			if a.Place != "" {
				by += ", " + a.Place
			}
		}
		line("Said by", "%s", by)
		if a.Since != nil {
			line("Rule", "%s", a.Since.Rule)
			line("Since", "%s, recorded %s by %s", moment(a.Since.TrueSince), moment(a.Since.RecordedAt), causeText(a.Since.Cause))
			if a.Since.Before.Value.Kind() != people.Map {
				line("Before", "%s", brief(a.Since.Before.Value))
			}
		}
		switch s := a.Signature; {
		case s.Verifies && s.Bound:
			line("Signed", "by %s (%s), for this person and attribute; it verifies", s.Publisher, s.Algorithm)
		case s.Verifies:
			line("Signed", "by %s (%s), for nobody in particular; it verifies", s.Publisher, s.Algorithm)
		case s.Wrong != "":
			line("Signed", "by %s (%s), and it does not verify: %s", s.Publisher, s.Algorithm, strings.TrimPrefix(s.Wrong, "sign: "))
		default:
			line("Signed", "not at all")
		}
	}
	t := p.table("who", "says", "and")
	for _, word := range a.Words {
		t.Row(string(word.Publisher), saying(word), word.Reason)
	}
	if t.Len() > 0 {
		fmt.Fprintln(w)
		if _, err := t.WriteTo(w); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\nTo change it: %s\n", a.Outlook)
	if a.Pending != nil {
		fmt.Fprintln(w, "The next sync would change it, unless a guard holds it.")
	}
	if len(a.History) > 0 {
		fmt.Fprintln(w, "\nHistory:")
		now := a.Content
		for _, h := range a.History {
			fmt.Fprintf(w, "\n%s  by %s, %s (revision %d, %s)\n", moment(h.RecordedAt), cmp.Or(string(h.Source), string(people.CIS)), h.Rule, h.Revision, causeText(h.Cause))
			p.showChange(w, a.Path, h.Before, now)
			now = h.Before
		}
	}
	return nil
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.Format("2006-01-02 15:04 MST")
}

func causeText(c people.Cause) string {
	switch {
	case c.Run != "":
		return "run " + c.Run
	case c.Reason != "":
		return c.Door + ", " + c.Reason
	}
	return c.Door
}

// A trace is what is found under a key that leads to nobody.
type trace struct {
	Key        string             `json:"key"`
	Rejections []people.Rejection `json:"rejections"`
	Cases      []people.Case      `json:"cases"`
	Decisions  []sync.Link        `json:"decisions"`
	// Waiting are sources that have such a record, which attaches to nobody.
	Waiting []string `json:"waiting"`
}

// nobody says what is found under a key that leads to nobody, and ends with 1.
func (c explainCommand) nobody(ctx context.Context, p *program, o *opened) error {
	t := trace{Key: c.Who, Rejections: []people.Rejection{}, Cases: []people.Case{}, Decisions: []sync.Link{}, Waiting: []string{}}
	l, err := o.lists(ctx)
	if err != nil {
		return err
	}
	for _, r := range l.Rejections {
		if r.Record == c.Who || r.Place == c.Who {
			t.Rejections = append(t.Rejections, r)
		}
	}
	for _, k := range l.Cases {
		if k.Record == c.Who {
			t.Cases = append(t.Cases, k)
		}
	}
	decisions, err := sync.Links(ctx, o.store)
	if err != nil {
		return err
	}
	for _, d := range decisions {
		if d.Record == c.Who {
			t.Decisions = append(t.Decisions, d)
		}
	}
	if t.Waiting, err = o.waiting(ctx, c.Who); err != nil {
		return err
	}
	err = p.print(t, func(w io.Writer) error {
		fmt.Fprintf(w, "Nobody is found by %s.\n", show.Clean(c.Who))
		for _, r := range t.Rejections {
			what := "The record"
			if r.Attribute != "" {
				what = string(r.Attribute) + " of the record"
			}
			fmt.Fprintf(w, "\n%s of %s at %s was set aside (%s, since %s): %s.\nCorrect it in the source; the next sync reads it again.\n", what, r.Source, show.Clean(r.Place), r.Stage, day(r.FirstSeen), r.Reason)
		}
		for _, k := range t.Cases {
			fmt.Fprintf(w, "\nThe record of %s is undecided since %s (%s): %s.\nTo resolve: %s.\n", k.Publisher, day(k.FirstSeen), k.Kind, k.Reason, k.Resolve)
			for _, id := range k.People {
				fmt.Fprintf(w, "It concerns %s: cis explain %s\n", id, id)
			}
		}
		for _, d := range t.Decisions {
			verb := "is"
			if d.Apart {
				verb = "is not"
			}
			fmt.Fprintf(w, "\n%s decided on %s that the record of %s %s that of %s: %s\n", show.Clean(d.By), day(d.At), d.Publisher, verb, d.Person, show.Clean(d.Reason))
		}
		if len(t.Cases) == 0 {
			for _, name := range t.Waiting {
				fmt.Fprintf(w, "\nThe source %s has such a record, which attaches to nobody: cis cases --source %s\n", name, name)
			}
		}
		if len(t.Rejections)+len(t.Cases)+len(t.Decisions)+len(t.Waiting) == 0 {
			fmt.Fprintln(w, "\nNo source is known to have such a record, and nobody had it as a login. Try another key: a uuid, a\nuser_id, a username, an email, an employee id, a uid, or a record's id. `cis rejections` and `cis cases`\nlist records that could not be taken; some of them cannot even be named.")
		}
		return nil
	})
	return errors.Join(err, printedError{errNobody})
}

// waiting lists the sources in whose tables there is a record of that id that
// attaches to nobody.
func (o *opened) waiting(ctx context.Context, record string) ([]string, error) {
	names := []string{}
	head, err := sync.Head(ctx, o.store)
	if err != nil || head == "" {
		return names, err
	}
	w, err := snapshots.Open(ctx, o.blobs, head)
	if err != nil {
		return names, err
	}
	defer w.Close()
	hash, err := sync.Hasher(ctx, o.store)
	if err != nil {
		return names, err
	}
	for _, s := range w.Manifest.Sources {
		table, err := w.Records(ctx, s.Name)
		if err != nil {
			return names, err
		}
		if r, ok := table.Find(hash.Record(s.Publisher, record)); ok && r.Person.IsZero() {
			names = append(names, s.Name)
		}
	}
	return names, nil
}
