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
	"example.org/cis/transforms/correlate"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
	"example.org/cis/transforms/snapshot"
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

// A provenance is one change of an attribute: when and why it became what it
// was from then on.
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
	// Key is the kid of the published key with which it verifies.
	Key      string `json:"key,omitzero"`
	Bound    bool   `json:"bound,omitzero"`
	Verifies bool   `json:"verifies"`
	Wrong    string `json:"wrong,omitzero"`
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
	Person   people.ID `json:"person"`
	UserID   string    `json:"user_id"`
	Name     string    `json:"name"`
	Active   bool      `json:"active"`
	Revision int64     `json:"revision"`
	Former   []string  `json:"former_user_ids,omitzero"`
	// FoundBy is the login by which the person was found, if it is a former one.
	FoundBy    string           `json:"found_by_former,omitzero"`
	Authority  people.Publisher `json:"lifecycle_authority,omitzero"`
	Records    []recordRow      `json:"records"`
	Attributes []explained      `json:"attributes"`
	Apart      []sync.Link      `json:"kept_apart,omitzero"`
	// What the last run set aside of the records, what is undecided about them,
	// and where they are missing.
	Rejections []people.Rejection   `json:"rejections,omitzero"`
	Cases      []people.Case        `json:"cases,omitzero"`
	Upcoming   []correlate.Upcoming `json:"upcoming,omitzero"`
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
	only, err := attributeOf(cat, c.Attribute)
	if err != nil {
		return err
	}
	keys, err := p.trusted(ctx, cfg)
	if err != nil {
		return err
	}
	x, err := p.explain(ctx, o, cfg, cat, keys, s, profile, only)
	if err != nil {
		return err
	}
	if slices.Contains(x.Former, c.Who) {
		x.FoundBy = c.Who
	}
	if only != "" && len(x.Attributes) == 0 {
		return errors.New("cis: the profile does not have that attribute")
	}
	return p.print(x, func(w io.Writer) error {
		if only != "" {
			return p.showStory(w, x, cat)
		}
		return p.showExplanation(w, x, cat)
	})
}

// attributeOf is the attribute of that name, of which the container may be left
// out where only one has the name; "" is none.
func attributeOf(cat *catalogue.Catalogue, name string) (people.Path, error) {
	if name == "" {
		return "", nil
	}
	if _, ok := cat.Find(people.Path(name)); ok {
		return people.Path(name), nil
	}
	var found []people.Path
	for _, a := range cat.Attributes {
		if _, last := a.Path.Split(); last == name {
			found = append(found, a.Path)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return "", usageError{fmt.Errorf("no attribute is called %s: `cis person get PERSON --all` lists them", name)}
}

// explain gathers what can be said of a person, or of one attribute. Keys are
// those by which signatures verify.
func (p *program) explain(ctx context.Context, o *opened, cfg *config.Config, cat *catalogue.Catalogue, keys sign.Keys, s sinks.Stored, profile *people.Profile, only people.Path) (explanation, error) {
	x := explanation{Person: s.ID, UserID: profile.Value(people.UserID).Text(), Name: nameOf(profile), Active: profile.Value(people.Active).True(), Revision: s.Revision, Attributes: []explained{}, Records: []recordRow{}}
	evidence, err := unpackEvidence(s)
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
	open, err := o.lists(ctx)
	if err != nil {
		return x, err
	}
	x.leftOpen(open, only)
	in := merge.Input{ID: s.ID, Stored: profile, Evidence: evidence, Catalogue: cat, Now: p.now(),
		Protected: slices.Contains(cfg.Protected, x.UserID) || slices.ContainsFunc(evidence.Former, func(id string) bool { return slices.Contains(cfg.Protected, id) })}
	for _, n := range profile.Attributes {
		if only != "" && n.Path != only {
			continue
		}
		told := story(revisions, n.Path)
		var source people.Publisher
		var since *provenance // of the value; what came later changed only who may see it
		for i, t := range told {
			if since == nil && !t.Before.Value.Equal(n.Value) {
				source, since = t.Source, &told[i]
			}
		}
		if source == "" && len(told) == 0 && n.Signature.Publisher.Value != "" && n.Signature.Publisher.Name != string(people.CIS) {
			source = people.Publisher(n.Signature.Publisher.Name) // imported: whoever signed it
		}
		e, ok := merge.Explain(in, n.Path, source)
		if !ok {
			continue // the catalogue has it no more
		}
		ex := explained{Explanation: e, Since: since, Signature: signatureOf(keys, s.ID, n, p.policy(cfg))}
		if ob := evidence.Find(e.Source); ob != nil {
			ex.Record, ex.Place = ob.Record, ob.Place
		}
		if only != "" {
			ex.History = told
		}
		x.Attributes = append(x.Attributes, ex)
	}
	return x, nil
}

// leftOpen picks what the last run left open about the person, or about one
// attribute.
func (x *explanation) leftOpen(l snapshots.Lists, only people.Path) {
	for _, r := range l.Rejections {
		mine := slices.ContainsFunc(x.Records, func(o recordRow) bool { return o.Publisher == r.Publisher && o.Record == r.Record })
		if mine && (only == "" || r.Attribute == "" || r.Attribute == only) {
			x.Rejections = append(x.Rejections, r)
		}
	}
	for _, k := range l.Cases {
		if slices.Contains(k.People, x.Person) {
			x.Cases = append(x.Cases, k)
		}
	}
	for _, u := range l.Upcoming {
		if u.Person == x.Person {
			x.Upcoming = append(x.Upcoming, u)
		}
	}
}

func (p *program) policy(c *config.Config) sign.Policy { return verifyCommand{}.policy(c) }

func signatureOf(keys sign.Keys, id people.ID, n people.Named, policy sign.Policy) signature {
	if n.Signature.Publisher.Value == "" {
		return signature{}
	}
	sig := signature{Publisher: n.Signature.Publisher.Name, Algorithm: n.Signature.Publisher.Alg}
	_, _, sig.Bound = sign.Bound(n.Attribute)
	if err := sign.Verify(keys, id, n.Path, n.Attribute, policy); err != nil {
		sig.Wrong = strings.TrimPrefix(err.Error(), "sign: ")
		return sig
	}
	sig.Verifies = true
	publisher := people.Publisher(sig.Publisher)
	for _, k := range keys[publisher] {
		if sign.Verify(sign.Keys{publisher: {k}}, id, n.Path, n.Attribute, policy) == nil {
			sig.Key = k.ID()
			break
		}
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

// A page is what text is fitted into.
type page struct {
	io.Writer
	columns int
}

func (p *program) page(w io.Writer) page { return page{w, show.Columns(p.stdout, p.env)} }

// say prints a text, wrapped, and with an indent from its second line on.
func (w page) say(indent int, format string, args ...any) {
	fmt.Fprintln(w, show.Wrap(fmt.Sprintf(format, args...), w.columns, strings.Repeat(" ", indent)))
}

// items prints rows of which the last cell is wrapped, and the others are
// clipped to a share of the line each.
func (w page) items(share int, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	widths := make([]int, len(rows[0])-1)
	for i := range widths {
		for _, r := range rows {
			widths[i] = max(widths[i], min(show.Width(r[i]), w.columns/share))
		}
	}
	for _, r := range rows {
		line := ""
		for i, most := range widths {
			line += "  " + show.Pad(show.Clip(r[i], most), most)
		}
		indent := strings.Repeat(" ", show.Width(line)+2)
		fmt.Fprintln(w, strings.TrimRight(line+"  "+show.Wrap(r[len(widths)], w.columns, indent), " "))
	}
}

// showExplanation prints everything about a person: their records, each
// attribute that has a value in a line, what was said otherwise, whose
// signatures there are, and what nobody says anything about.
func (p *program) showExplanation(out io.Writer, x explanation, cat *catalogue.Catalogue) error {
	w := p.page(out)
	p.showWho(w, x)
	fmt.Fprintln(w)
	if err := p.showValues(w, x, cat); err != nil {
		return err
	}
	p.showOtherwise(w, x)
	for _, a := range x.Attributes {
		if a.Pending != nil {
			fmt.Fprintln(w)
			w.say(0, "The next sync would change %s, unless a guard holds it.", a.Path)
		}
	}
	w.showRules(x)
	w.showSignatures(x)
	w.showEmpty(x)
	fmt.Fprintln(w)
	w.say(0, "More about one attribute: cis explain %s ATTRIBUTE", x.Person)
	return nil
}

// showValues prints the attributes that have a value, by container.
func (p *program) showValues(w page, x explanation, cat *catalogue.Catalogue) error {
	type line struct{ name, value, by, rule, since string }
	sections := map[string][]line{}
	widest := line{"attribute", "value", "said by", "rule", "since"}
	wide := func(a *string, b string) {
		if show.Width(b) > show.Width(*a) {
			*a = b
		}
	}
	for _, a := range x.Attributes {
		if a.Content.Value.IsNull() {
			continue
		}
		container, name := a.Path.Split()
		l := line{name: "  " + name, value: valueText(a.Content.Value), by: show.Clip(whose(a), 16)}
		l.rule = ruleOf(a)
		if a.Since != nil {
			l.since = day(a.Since.RecordedAt)
		}
		if slices.ContainsFunc(a.Words, merge.Word.Differs) {
			l.name += " *"
		}
		sections[container] = append(sections[container], l)
		wide(&widest.name, container+".")
		wide(&widest.name, l.name)
		wide(&widest.by, l.by)
		wide(&widest.rule, l.rule)
		wide(&widest.since, l.since)
	}
	room := w.columns - show.Width(widest.name) - show.Width(widest.by) - show.Width(widest.rule) - 6
	headings, dates := []string{"attribute", "value", "said by", "rule", "since"}, true
	if most := room - show.Width(widest.since) - 2; most >= 24 {
		room = most
	} else {
		headings, dates = headings[:4], false
	}
	t := p.table(headings...)
	add := func(title, container string) {
		if len(sections[container]) == 0 {
			return
		}
		t.Row(show.Cell{Text: title, Style: show.Bold})
		for _, l := range sections[container] {
			value := show.Clip(l.value, max(12, room))
			if dates {
				t.Row(l.name, value, l.by, l.rule, l.since)
			} else {
				t.Row(l.name, value, l.by, l.rule)
			}
		}
	}
	add("Person", "")
	for _, c := range cat.Containers {
		add(c.Name+".", c.Name)
	}
	_, err := t.WriteTo(w)
	return err
}

// showOtherwise prints what was said and is not what stands.
func (p *program) showOtherwise(w page, x explanation) {
	var rows [][]string
	for _, a := range x.Attributes {
		var reasons []string
		said := map[string][]string{}
		for _, word := range a.Words {
			if !word.Differs() {
				continue
			}
			if said[word.Reason] == nil {
				reasons = append(reasons, word.Reason)
			}
			said[word.Reason] = append(said[word.Reason], string(word.Publisher)+" "+saying(word))
		}
		for _, r := range reasons {
			rows = append(rows, []string{string(a.Path), strings.Join(said[r], ", ") + ": " + r})
		}
	}
	if len(rows) > 0 {
		fmt.Fprint(w, "\n* Said otherwise, and not taken:\n\n")
		w.items(3, rows)
	}
}

// showRules says what the rules are that the table names.
func (w page) showRules(x explanation) {
	var rules []string
	for _, a := range x.Attributes {
		if rule := ruleOf(a); rule != "" && !a.Content.Value.IsNull() && !slices.Contains(rules, rule) {
			rules = append(rules, rule)
		}
	}
	slices.Sort(rules)
	rows := make([][]string, 0, len(rules))
	for _, r := range rules {
		rows = append(rows, []string{r, merge.Because(r)})
	}
	if len(rows) > 0 {
		fmt.Fprint(w, "\nWhy whose word counts:\n\n")
		w.items(3, rows)
	}
}

// showSignatures sums the signatures up, and lists what is wrong.
func (w page) showSignatures(x explanation) {
	var names []string
	var good, unbound int64
	count := map[string]int64{}
	var wrong [][]string
	for _, a := range x.Attributes {
		switch s := a.Signature; {
		case s.Verifies:
			name := s.Publisher
			if s.Key != "" {
				name += " (key " + s.Key + ")"
			}
			if good++; count[name] == 0 {
				names = append(names, name)
			}
			count[name]++
			if !s.Bound {
				unbound++
			}
		case s.Wrong != "":
			wrong = append(wrong, []string{string(a.Path), s.Wrong})
		case !a.Content.Value.IsNull():
			wrong = append(wrong, []string{string(a.Path), "not signed"})
		}
	}
	fmt.Fprintln(w)
	if good > 0 {
		slices.Sort(names)
		for i, n := range names {
			names[i] = fmt.Sprintf("%d by %s", count[n], n)
		}
		w.say(0, "%s against the published keys: %s.", show.Plural(good, "signature verifies", "signatures verify"), strings.Join(names, ", "))
	}
	if unbound > 0 {
		w.say(0, "%s bound to no person and attribute.", show.Plural(unbound, "signature is", "signatures are"))
	}
	if len(wrong) > 0 {
		fmt.Fprint(w, "These do not verify:\n\n")
		w.items(2, wrong)
	}
}

// showEmpty names what has no value.
func (w page) showEmpty(x explanation) {
	var containers []string
	names := map[string][]string{}
	n := int64(0)
	for _, a := range x.Attributes {
		if !a.Content.Value.IsNull() {
			continue
		}
		container, name := a.Path.Split()
		if names[container] == nil {
			containers = append(containers, container)
		}
		names[container] = append(names[container], name)
		n++
	}
	if n == 0 {
		return
	}
	slices.Sort(containers)
	rows := make([][]string, len(containers))
	for i, c := range containers {
		rows[i] = []string{cmp.Or(c, "person"), strings.Join(names[c], ", ")}
	}
	fmt.Fprintf(w, "\nWithout a value: %s\n\n", show.Plural(n, "attribute", "attributes"))
	w.items(3, rows)
}

func (p *program) showWho(w page, x explanation) {
	state := "inactive"
	if x.Active {
		state = "active"
	}
	w.say(0, "%s  %s, revision %d", x.Name, state, x.Revision)
	w.say(0, "%s, %s", x.Person, x.UserID)
	if x.FoundBy != "" {
		w.say(0, "%s was the login of this person, and still leads to them.", x.FoundBy)
	} else if len(x.Former) > 0 {
		w.say(0, "formerly %s", strings.Join(x.Former, ", "))
	}
	var rows [][]string
	for _, r := range x.Records {
		state := string(r.Lifecycle)
		if r.Publisher == x.Authority {
			state += ", decides who is here"
		}
		state += "; read " + day(r.SeenAt)
		if r.Place != "" {
			state += " at " + r.Place
		}
		if d := r.Decision; d != nil && !d.Apart {
			state += fmt.Sprintf("; linked by %s on %s: %s", d.By, day(d.At), d.Reason)
		} else if d != nil {
			state += fmt.Sprintf("; to be unlinked, as %s decided on %s: %s", d.By, day(d.At), d.Reason)
		}
		rows = append(rows, []string{cmp.Or(r.Source, string(r.Publisher)), r.Record, state})
	}
	if len(rows) > 0 {
		fmt.Fprint(w, "\nRecords:\n\n")
		w.items(2, rows) // an id is needed whole
	}
	for _, u := range x.Upcoming {
		due := "once a second extract confirms it, and a grace has passed"
		if !u.Due.IsZero() {
			due = "on " + moment(u.Due)
		}
		fmt.Fprintln(w)
		w.say(0, "%s does not have the record since %s; that acts %s, unless it comes back.", u.Source, moment(u.Since), due)
	}
	w.leftOpen(x.Rejections, x.Cases)
	for _, d := range x.Apart {
		if !slices.ContainsFunc(x.Records, func(r recordRow) bool { return r.Publisher == d.Publisher && r.Record == d.Record }) {
			fmt.Fprintln(w)
			w.say(0, "The record %s of %s is kept apart, as %s decided on %s: %s", d.Record, d.Publisher, d.By, day(d.At), d.Reason)
		}
	}
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

// ruleOf is the rule by which a value stands, else that by which it was set.
func ruleOf(a explained) string {
	if a.Rule == "" && a.Since != nil {
		return a.Since.Rule
	}
	return a.Rule
}

func saying(w merge.Word) string {
	switch w.Says {
	case merge.SaysValue:
		if w.Value.Kind() == people.Map {
			return valueText(w.Value)
		}
		return brief(w.Value)
	case merge.SaysEmpty:
		return "(empty)"
	case merge.NoRecord:
		return "-"
	}
	return "nothing"
}

// showStory prints everything about one attribute.
func (p *program) showStory(out io.Writer, x explanation, cat *catalogue.Catalogue) error {
	w := p.page(out)
	a := x.Attributes[0]
	attr, _ := cat.Find(a.Path)
	w.say(0, "%s of %s", a.Path, x.Name)
	w.say(0, "%s", attr.Description)
	fmt.Fprintln(w)
	line := func(what, format string, args ...any) {
		fmt.Fprint(w, show.Pad(what, 11))
		w.say(11, format, args...)
	}
	value := a.Content.Value
	switch {
	case value.IsNull():
		line("Value", "none")
	case value.Kind() == people.Map:
		line("Value", "%s", show.Plural(int64(len(value.Entries())), "key", "keys"))
		for _, e := range value.Entries() {
			text, whose := e.Key, ""
			if !e.Null && e.Value != "" {
				text += "=" + e.Value
			}
			if owner := a.Keys[e.Key]; owner != "" {
				whose = " (" + string(owner) + ")"
			}
			line("", "%s%s", text, whose)
		}
	case value.Kind() == people.String:
		line("Value", "%q", value.Text())
	default:
		line("Value", "%s", value)
	}
	if !value.IsNull() {
		p.showOrigin(line, a)
	}
	if len(a.Words) > 0 {
		fmt.Fprint(w, "\nWho says what:\n\n")
	}
	var rows [][]string
	for _, word := range a.Words {
		reason := word.Reason
		switch {
		case word.Counts:
			reason = "counts: " + reason
		case word.Differs():
			reason = "not taken: " + reason
		}
		rows = append(rows, []string{string(word.Publisher), saying(word), reason})
	}
	w.items(3, rows)
	w.leftOpen(slices.DeleteFunc(slices.Clone(x.Rejections), func(r people.Rejection) bool { return r.Attribute != a.Path }), nil)
	fmt.Fprintln(w)
	w.say(0, "To change it: %s", a.Outlook)
	if a.Pending != nil {
		w.say(0, "The next sync would change it, unless a guard holds it.")
	}
	if len(a.History) > 0 {
		fmt.Fprintln(w, "\nHistory:")
		now := a.Content
		for _, h := range a.History {
			fmt.Fprintln(w)
			w.say(2, "%s, %s, revision %d", moment(h.RecordedAt), causeText(h.Cause), h.Revision)
			fmt.Fprint(w, "  ")
			w.say(2, "by %s%s: %s", cmp.Or(string(h.Source), string(people.CIS)), earlier(h.TrueSince, h.RecordedAt), cmp.Or(merge.Because(h.Rule), h.Rule))
			fmt.Fprint(w, "  ")
			w.say(4, "%s", changeText(h.Before, now))
			now = h.Before
		}
	}
	return nil
}

// showOrigin says of a value who may see it, whose word it is and why, and
// whether its signature holds.
func (p *program) showOrigin(line func(what, format string, args ...any), a explained) {
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
	if rule := ruleOf(a); rule != "" {
		line("Rule", "%s: %s", rule, cmp.Or(merge.Because(rule), "a rule of an earlier version"))
	}
	if s := a.Since; s != nil {
		by := ""
		if s.Source != "" && s.Source != a.Source && len(a.Keys) == 0 {
			by = fmt.Sprintf(", first by %s (%s)", s.Source, s.Rule)
		}
		line("Since", "%s%s%s, %s", moment(s.RecordedAt), by, earlier(s.TrueSince, s.RecordedAt), causeText(s.Cause))
		if s.Before.Value.Kind() != people.Map {
			line("Before", "%s", brief(s.Before.Value))
		}
	}
	switch s := a.Signature; {
	case s.Verifies && s.Bound:
		line("Signed", "by %s (%s, key %s), for this person and attribute; it verifies", s.Publisher, s.Algorithm, orDash(s.Key))
	case s.Verifies:
		line("Signed", "by %s (%s, key %s), for nobody in particular; it verifies", s.Publisher, s.Algorithm, orDash(s.Key))
	case s.Wrong != "":
		line("Signed", "by %s (%s), and it does not verify: %s", s.Publisher, s.Algorithm, s.Wrong)
	default:
		line("Signed", "not at all")
	}
}

// earlier says since when a source was seen to say what was recorded later.
func earlier(since, recorded time.Time) string {
	if since.IsZero() || !since.Before(recorded) {
		return ""
	}
	return ", said since " + moment(since)
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
	case c.By != "":
		return c.Door + ", by " + c.By
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
	// Waiting are records that have the key and attach to nobody.
	Waiting []waitingRecord `json:"waiting"`
	// Attached are records that have the key and are somebody's.
	Attached []attachedRecord `json:"attached"`
}

// A waitingRecord is one that attaches to nobody.
type waitingRecord struct {
	Source    string           `json:"source"`
	Publisher people.Publisher `json:"publisher"`
	Record    string           `json:"record,omitzero"`
	Place     string           `json:"place,omitzero"`
	SeenAt    time.Time        `json:"seen_at,omitzero"`
	// By is the scheme of the key that it has.
	By people.Scheme `json:"by"`
	// Missing says since when the source has it no more.
	Missing time.Time `json:"missing_since,omitzero"`
}

type attachedRecord struct {
	Source string        `json:"source"`
	By     people.Scheme `json:"by"`
	Person people.ID     `json:"person"`
}

func (t *trace) empty() bool {
	return len(t.Rejections)+len(t.Cases)+len(t.Decisions)+len(t.Waiting)+len(t.Attached) == 0
}

// nobody says what is found under a key that leads to nobody, and ends with 1.
func (c explainCommand) nobody(ctx context.Context, p *program, o *opened) error {
	t := trace{Key: c.Who, Rejections: []people.Rejection{}, Cases: []people.Case{}, Decisions: []sync.Link{}, Waiting: []waitingRecord{}, Attached: []attachedRecord{}}
	if err := o.records(ctx, &t); err != nil {
		return err
	}
	is := func(p people.Publisher, record string) bool {
		return record != "" && (record == c.Who || slices.ContainsFunc(t.Waiting, func(w waitingRecord) bool { return w.Publisher == p && w.Record == record }))
	}
	id, err := people.ParseID(strings.ToLower(c.Who))
	named := err == nil
	l, err := o.lists(ctx)
	if err != nil {
		return err
	}
	for _, r := range l.Rejections {
		if is(r.Publisher, r.Record) || r.Place == c.Who {
			t.Rejections = append(t.Rejections, r)
		}
	}
	for _, k := range l.Cases {
		if is(k.Publisher, k.Record) || named && slices.Contains(k.People, id) {
			t.Cases = append(t.Cases, k)
		}
	}
	decisions, err := sync.Links(ctx, o.store)
	if err != nil {
		return err
	}
	for _, d := range decisions {
		if is(d.Publisher, d.Record) || named && d.Person == id {
			t.Decisions = append(t.Decisions, d)
		}
	}
	err = p.print(t, func(w io.Writer) error {
		p.showTrace(p.page(w), t)
		return nil
	})
	return errors.Join(err, printedError{errNobody})
}

// leftOpen says what was set aside and what is undecided.
func (w page) leftOpen(rejections []people.Rejection, cases []people.Case) {
	for _, r := range rejections {
		what := "A record"
		if r.Attribute != "" {
			what = string(r.Attribute) + " of a record"
		}
		at := ""
		if r.Place != "" {
			at = " at " + r.Place
		}
		fmt.Fprintln(w)
		w.say(0, "%s of %s%s was set aside (%s, since %s): %s.", what, r.Source, at, r.Stage, day(r.FirstSeen), r.Reason)
		w.say(0, "Correct it in the source; the next sync reads it again.")
	}
	for _, k := range cases {
		fmt.Fprintln(w)
		w.say(0, "The record %s of %s is undecided since %s (%s): %s.", orDash(k.Record), k.Publisher, day(k.FirstSeen), k.Kind, strings.TrimSuffix(k.Reason, "."))
		w.say(0, "To resolve: %s.", strings.TrimSuffix(k.Resolve, "."))
	}
}

func (p *program) showTrace(w page, t trace) {
	say := func(format string, args ...any) { w.say(0, format, args...) }
	say("Nobody is found by %s.", t.Key)
	w.leftOpen(t.Rejections, nil)
	for _, r := range t.Waiting {
		at := ""
		if r.Place != "" {
			at = ", at " + r.Place
		}
		fmt.Fprintln(w)
		say("The source %s has a record with it (%s)%s, which attaches to nobody: %s", r.Source, schemeWords(r.By), at, orDash(r.Record))
		if !r.Missing.IsZero() {
			say("It is missing there since %s.", day(r.Missing))
		}
	}
	w.leftOpen(nil, t.Cases)
	for _, k := range t.Cases {
		for _, id := range k.People {
			say("It concerns %s: cis explain %s", id, id)
		}
	}
	for _, d := range t.Decisions {
		verb := "is"
		if d.Apart {
			verb = "is not"
		}
		fmt.Fprintln(w)
		say("%s decided on %s that the record %s of %s %s that of %s: %s", d.By, day(d.At), d.Record, d.Publisher, verb, d.Person, d.Reason)
	}
	for _, r := range t.Attached {
		fmt.Fprintln(w)
		say("The source %s has a record with it (%s), which is somebody's: cis explain %s", r.Source, schemeWords(r.By), r.Person)
	}
	if t.empty() {
		fmt.Fprintln(w)
		say("No source is known to have such a record, and nobody had it as a login. Try another key: a uuid, a user_id, a username, an email, an employee id, a uid, or a record's id. `cis rejections` and `cis cases` list records that could not be taken; some of them cannot even be named.")
	}
}

// schemeWords says what a key is.
func schemeWords(s people.Scheme) string {
	if strings.HasPrefix(string(s), "record:") {
		return "as its id"
	}
	return "as " + strings.ReplaceAll(string(s), "_", " ")
}

// records looks for the key in the tables of all sources, which hold hashes, and
// in the records themselves that attach to nobody.
func (o *opened) records(ctx context.Context, t *trace) error {
	head, err := sync.Head(ctx, o.store)
	if err != nil || head == "" {
		return err
	}
	w, err := snapshots.Open(ctx, o.blobs, head)
	if err != nil {
		return err
	}
	defer w.Close()
	hash, err := sync.Hasher(ctx, o.store)
	if err != nil {
		return err
	}
	email := people.Key{Scheme: people.ByEmail, Value: strings.ToLower(t.Key)}
	login := people.Key{Scheme: people.ByUserID, Value: t.Key}
	for _, s := range w.Manifest.Sources {
		table, err := w.Records(ctx, s.Name)
		if err != nil {
			return err
		}
		waiting, err := snapshots.Read(ctx, o.blobs, s.Waiting)
		if err != nil {
			return err
		}
		id, byEmail, byLogin := hash.Record(s.Publisher, t.Key), hash.Key(email), hash.Key(login)
		for i := range table.Len() {
			r := table.At(i)
			x := waitingRecord{Source: s.Name, Publisher: s.Publisher}
			switch {
			case r.Key == id:
				x.By, x.Record = people.ByRecord(s.Publisher), t.Key
			case r.UserID == byLogin:
				x.By = people.ByUserID
			case r.Email == byEmail:
				x.By = people.ByEmail
			}
			if !r.Person.IsZero() {
				if x.By != "" && r.State != snapshot.Gone {
					t.Attached = append(t.Attached, attachedRecord{s.Name, x.By, r.Person})
				}
				continue
			}
			if r.State != snapshot.Present {
				x.Missing = time.Unix(r.Since, 0).UTC()
			}
			if end := r.Offset + uint64(r.Length); r.Length > 0 && end <= uint64(len(waiting)) {
				ob, err := people.ParseObservation(waiting[r.Offset:end])
				if err != nil {
					return fmt.Errorf("cis: decode a record of %s that waits: %w", s.Name, err)
				}
				for _, k := range ob.Keys {
					if x.By == "" && (k.Value == t.Key || k.Scheme == people.ByEmail && k.Value == email.Value) {
						x.By = k.Scheme
					}
				}
				x.Record, x.Place, x.SeenAt = ob.Record, ob.Place, ob.SeenAt
			}
			if x.By != "" {
				t.Waiting = append(t.Waiting, x)
			}
		}
	}
	return nil
}
