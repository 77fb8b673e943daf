package merge

import (
	"fmt"
	"slices"
	"strings"

	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
)

// What a publisher says of an attribute.
const (
	SaysValue   = "value"
	SaysEmpty   = "empty"
	SaysNothing = "nothing"
	NoRecord    = "no record"
)

// Why a word counts.
const (
	Updates     = "updates"     // it is the one that may change the value
	Proves      = "proves"      // its record proves the value
	Created     = "created"     // it set the value when there was none, and nobody who may change it speaks
	Emptied     = "emptied"     // it emptied the value
	OwnsKeys    = "owns_keys"   // all its keys are in the map
	OwnsSome    = "owns_some"   // of its keys those that are its own are in the map
	SaysHere    = "lifecycle"   // it says whether the person is here
	BlocksLogin = "login_block" // the login is blocked, whoever says what
)

// Why a word does not count. Those after Agrees are words that say something
// else than what stands.
const (
	Absent       = "no_record"
	Silent       = "silent"
	Agrees       = "agrees"
	Pending      = "pending"        // a merge would take it now
	OtherKind    = "other_kind"     // the value is not of the attribute's kind
	Unverified   = "unverified"     // an address that nobody verified, for one that is
	BadDisplay   = "bad_display"    // it is signed with a display that the attribute cannot have
	Findable     = "findable"       // a person is found by it, so that nobody empties it
	Follows      = "follows"        // the login follows another record
	Cleared      = "cleared"        // another one emptied it, and nobody else fills it
	Later        = "later"          // another one comes first
	MayNotSet    = "may_not_set"    // it may not set the value while there is none
	MayNotChange = "may_not_change" // only another one may change what there is
	Fixed        = "fixed"          // nobody may change it once it is set
	SecondWord   = "second_word"    // its record proves it only while another one says nothing
	GoneProof    = "gone_proof"     // its record is gone, and proves nothing any more
	NotItsKeys   = "not_its_keys"
	NotAuthority = "not_authority" // it does not say whether the person is here
	NotYetHere   = "not_yet"       // "not yet here" changes nothing
	StaysBlocked = "blocked"       // it says that the person is here, and the login is blocked
	IsProtected  = "protected"     // the absence of somebody protected ends nobody
)

// A Word is what one publisher says of an attribute, and what becomes of it.
type Word struct {
	Publisher people.Publisher `json:"publisher"`
	// Says is one of the words above; of a claim there is the value, the
	// display it proposes and whether it is verified.
	Says     string       `json:"says"`
	Value    people.Value `json:"value,omitzero"`
	Display  string       `json:"display,omitzero"`
	Verified bool         `json:"verified,omitzero"`
	// Counts says that the attribute is as the publisher says, in whole or, of
	// a composed map, in its own keys.
	Counts bool `json:"counts"`
	// Code is one of the codes above, and Reason the same in a sentence without
	// a subject. By is whose word stands in its way.
	Code   string           `json:"code"`
	Reason string           `json:"reason"`
	By     people.Publisher `json:"by,omitzero"`
}

// Differs reports whether the word says something else than what stands.
func (w Word) Differs() bool {
	return !w.Counts && w.Code != Agrees && (w.Says == SaysValue || w.Says == SaysEmpty)
}

// What a possibility needs.
const (
	NeedsClaim   = "claim"   // that the publisher says something else
	NeedsRecord  = "record"  // that it has a record of the person, and says something
	NeedsSilence = "silence" // that Of says nothing any more, and it something else
	NeedsUnlink  = "unlink"  // that the record of Of is unlinked
)

// A Possibility is one way in which the attribute would become another.
type Possibility struct {
	Needs     string           `json:"needs"`
	Publisher people.Publisher `json:"publisher,omitzero"` // whose word would stand then, "" for nobody's
	Of        people.Publisher `json:"of,omitzero"`
	Rule      string           `json:"rule"`
	// Lifecycle is what the record would have to say, for active.
	Lifecycle people.Lifecycle `json:"lifecycle,omitzero"`
	// Value is what would stand after an unlinking.
	Value people.Value `json:"value,omitzero"`
}

// An Explanation says why an attribute is what it is.
type Explanation struct {
	Path    people.Path    `json:"path"`
	Content people.Content `json:"content"`
	// Source is whose word the value is, "" for a value that is nobody's word
	// (uuid, an import) and for none.
	Source people.Publisher `json:"source,omitzero"`
	// Rule is by which that word keeps the value as it is; "" if nobody who may
	// change it speaks, so that it stands as it was once set.
	Rule string `json:"rule,omitzero"`
	// Words are those of all publishers that have a say or a record, in the
	// order of the catalogue.
	Words []Word `json:"words"`
	// Keys says whose each key of a composed map is.
	Keys map[string]people.Publisher `json:"keys,omitzero"`
	// Display says why the display is what it is.
	Display string `json:"display_reason"`
	// Outlook says what would have to change for another value to stand here,
	// and Could the same one by one.
	Outlook string        `json:"outlook"`
	Could   []Possibility `json:"could"`
	// Pending is what a merge of all this would do now: nothing, unless
	// something is held, or was said after the last run.
	Pending *people.Change `json:"pending,omitzero"`
}

// Because says in words why a rule lets somebody's word count.
func Because(rule string) string {
	return map[string]string{
		RuleUpdater:   "it is the one that may change the value",
		RuleCreator:   "there was no value, and it comes first of those that may set one",
		RuleProof:     "its record proves it",
		RuleComposed:  "each source has keys of its own",
		RuleLifecycle: "it says whether the person is here",
		RuleIdentity:  "it was made for the person",
		RuleDisplay:   "who may see it is what the person says there",
		RuleUnlinked:  "the record that said it was unlinked",
	}[rule]
}

// Explain explains an attribute of a stored profile: what each publisher says,
// and why it counts or does not. Source is whose word the stored value was when
// it was written, by the person's history; "" if that is not known.
//
// It is about people with the records that they have: what in says of withdrawn
// ones is not looked at.
//
// It asks the decision itself, once about things as they are, and once about
// each way in which they could be, so that it says nothing that Merge does not
// do.
func Explain(in Input, path people.Path, source people.Publisher) (Explanation, bool) {
	attr, ok := in.Catalogue.Find(path)
	if !ok || in.Stored == nil {
		return Explanation{}, false
	}
	in.Withdrawn, in.Origin = nil, nil
	x := &explainer{merger: newMerger(in), attr: &attr, source: source}
	x.cur = x.stored(&attr)
	e := Explanation{Path: path, Content: people.ContentOf(x.cur), Words: []Word{}}
	if d, ok := x.settle(&attr); ok {
		x.decision = d
		if d.changes() {
			x.pending = true
			d.Path = path
			e.Pending = &d.Change
		}
		if d.New.Value.Equal(d.Old.Value) && d.Rule != RuleDisplay && path != people.Active {
			x.source, e.Rule = d.Source, d.Rule
		}
	}
	if x.cur.Value.IsNull() {
		x.source, e.Rule = "", ""
	}
	if attr.ComposedBy != "" {
		e.Keys = map[string]people.Publisher{}
		for _, entry := range x.cur.Value.Entries() {
			e.Keys[entry.Key] = x.owner(entry)
		}
	}
	for _, p := range x.publishers {
		if w, speaks := x.word(p.Name); speaks {
			e.Words = append(e.Words, w)
			if path == people.Active && w.Counts && x.decision.Source == p.Name {
				x.source, e.Rule = p.Name, x.decision.Rule
			}
		}
	}
	e.Source = x.source
	e.Display, e.Could = x.display(), x.could()
	e.Outlook = x.outlook(e.Could)
	return e, true
}

type explainer struct {
	*merger
	attr *catalogue.Attribute
	cur  people.Attribute
	// source is whose word the value is; decision is what is decided now, and
	// pending says that it would change something.
	source   people.Publisher
	decision Decision
	pending  bool
}

// title is what people call a publisher.
func (x *explainer) title(p people.Publisher) string {
	known, _ := x.Catalogue.Publisher(p)
	first, rest, several := strings.Cut(known.Title, " ")
	switch {
	case p == people.CIS || known.Title == "":
		return string(p)
	case !several:
		return known.Title // a name, such as GitHub
	case rest == strings.ToLower(rest) && len(first) > 1 && first[1:] == strings.ToLower(first[1:]):
		first = strings.ToLower(first) // no abbreviation, and no name of several words
	}
	return "the " + first + " " + rest
}

func (x *explainer) titles(list []people.Publisher, last string) string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = x.title(p)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " " + last + " " + names[len(names)-1]
}

// owner is whose a key of a composed map is: who says it and comes first, else
// who may, and is not heard.
func (x *explainer) owner(e people.Entry) people.Publisher {
	var may people.Publisher
	for _, p := range owners(x.attr) {
		if !x.attr.Owns(p, e.Key) {
			continue
		}
		c, heard := x.claim(p, x.attr)
		if got, has := c.Value.Lookup(e.Key); heard && has && got == e {
			return p
		}
		if may == "" && !heard {
			may = p
		}
	}
	return may
}

// word is what a publisher says. Publishers that have neither a record nor a say
// in the attribute have none.
func (x *explainer) word(p people.Publisher) (Word, bool) {
	w := Word{Publisher: p, Says: NoRecord, Code: Absent, Reason: "has no record of the person"}
	has := x.attr.MayCreate(p) || x.attr.MayUpdate(p) || x.attr.ProvenBy == p || len(x.attr.Keys[p]) > 0
	o := x.Evidence.Find(p)
	if o == nil {
		return w, has && p != people.CIS
	}
	if x.attr.Path == people.Active {
		return x.lifecycle(o), true
	}
	raw, said := o.Claim(x.attr.Path)
	c, heard := x.claim(p, x.attr)
	switch {
	case !said && !heard:
		w.Says, w.Code, w.Reason = SaysNothing, Silent, "says nothing about it"
		return w, has
	case !heard:
		w.Says, w.Value, w.Code, w.Reason = SaysValue, raw.Value, OtherKind, "its value is not a "+x.attr.Kind.String()
		return w, true
	case c.Empty:
		w.Says = SaysEmpty
	default:
		w.Says, w.Value, w.Display, w.Verified = SaysValue, c.Value, c.Display, !c.Unverified
	}
	if x.attr.ComposedBy != "" {
		x.composed(&w, c)
	} else if !x.counts(&w, c) {
		x.loses(&w, c)
	}
	return w, true
}

func (w *Word) because(code, format string, args ...any) {
	w.Code, w.Reason = code, fmt.Sprintf(format, args...)
}

// counts says why a word counts, if it does or if it says nothing else than
// what stands.
func (x *explainer) counts(w *Word, c people.Claim) bool {
	attr, cur, p := x.attr, x.cur, w.Publisher
	same := c.Empty && cur.Value.IsEmpty() || !c.Empty && c.Value.Equal(cur.Value)
	marked := slices.ContainsFunc(x.Evidence.Cleared, func(k people.Cleared) bool { return k.Path == attr.Path && k.Publisher == p })
	if !same {
		return false
	}
	w.Counts = p == x.source || c.Empty && marked
	rule := ""
	if x.decision.Source == p && x.decision.New.Value.Equal(cur.Value) {
		rule = x.decision.Rule
	}
	switch {
	case !w.Counts && c.Empty:
		w.because(Agrees, "says that there is none")
	case !w.Counts:
		w.because(Agrees, "says the same")
	case c.Empty:
		w.because(Emptied, "emptied it")
	case rule == RuleUpdater:
		w.because(Updates, "it is the one that may change the value")
	case rule == RuleProof:
		w.because(Proves, "its record proves it, and cis signs")
	default:
		w.because(Created, "set it when there was no value, and nobody who may change it says otherwise")
	}
	if x.pending && x.decision.Source == p {
		w.Reason += "; who may see it, or whether it is verified, changes with the next sync"
	}
	return true
}

// loses says why a word that says something else than what stands does not
// count.
func (x *explainer) loses(w *Word, c people.Claim) {
	attr, cur, p := x.attr, x.cur, w.Publisher
	findable := attr.Path == people.UserID || attr.Path == people.PrimaryUsername
	switch {
	case x.pending && x.decision.Source == p:
		w.because(Pending, "the next sync takes it, unless a guard holds it")
	case attr.Path == people.LastModified:
		w.because(Fixed, "it follows every write")
	case findable && !cur.Value.IsNull() && (c.Empty || c.Value.IsEmpty()):
		w.because(Findable, "a person is found by it, so that nobody empties it")
	case attr.Path == people.UserID && p != attr.ProvenBy && x.speaks(attr.ProvenBy):
		w.By = attr.ProvenBy
		w.because(Follows, "the login of whoever is in %s follows it", x.title(w.By))
	case c.Signed != nil && !attr.Allows(c.Signed.Metadata.Display) && (p == attr.Update || cur.Value.IsNull() && attr.MayCreate(p)):
		w.because(BadDisplay, "it is signed with a display that this attribute cannot have")
	case cur.Value.IsNull():
		x.unset(w)
	case p == attr.Update && unproven(attr, cur, c):
		w.because(Unverified, "nobody verified the address, and the one that stands is verified")
	case p == attr.ProvenBy && !x.here(p):
		w.because(GoneProof, "its record is gone, and proves nothing any more")
	case p == attr.ProvenBy && x.decision.Source == attr.Update && attr.Update != "":
		w.By = attr.Update
		w.because(SecondWord, "%s has the first word; this would count while that says nothing", x.title(w.By))
	case attr.Update == "" || attr.Update == people.CIS:
		w.because(Fixed, "nothing changes it once it is set")
	case attr.MayCreate(p):
		w.By = attr.Update
		w.because(MayNotChange, "it may set a value where there is none, and only %s may change it", x.title(w.By))
	default:
		w.By = attr.Update
		w.because(MayNotChange, "only %s may change it", x.title(w.By))
	}
}

// unset says why a word does not fill an attribute without a value.
func (x *explainer) unset(w *Word) {
	attr, p := x.attr, w.Publisher
	switch {
	case x.barred(attr.Path, p) && (attr.MayCreate(p) || p == attr.ProvenBy):
		w.By = x.clearedBy()
		w.because(Cleared, "%s emptied it, and nobody else fills it", x.title(w.By))
	case p == attr.ProvenBy && !x.here(p):
		w.because(GoneProof, "its record is gone, and proves nothing any more")
	case attr.MayCreate(p) || p == attr.ProvenBy:
		w.By = x.first()
		w.because(Later, "%s comes before it", x.title(w.By))
		if c, ok := x.claim(w.By, x.attr); ok && c.Empty {
			w.because(Later, "%s says that there is none, and comes before it", x.title(w.By))
		}
	default:
		w.because(MayNotSet, "it may not set it while there is no value")
	}
}

// first is who of those that may set a value and speak comes first.
func (x *explainer) first() people.Publisher {
	if x.pending {
		return x.decision.Source
	}
	if c, ok := x.claim(x.attr.Update, x.attr); ok && (c.Empty || x.attr.MayCreate(x.attr.Update)) {
		return x.attr.Update
	}
	for _, p := range x.attr.Create {
		if c, ok := x.claim(p, x.attr); ok && !c.Empty && !x.barred(x.attr.Path, p) {
			return p
		}
	}
	return ""
}

// speaks reports whether a publisher's record is here and says something.
func (x *explainer) speaks(p people.Publisher) bool {
	c, ok := x.claim(p, x.attr)
	return ok && !c.Empty && x.here(p)
}

// composed says what becomes of a claim about a map with several owners.
func (x *explainer) composed(w *Word, c people.Claim) {
	taken, coming, others := 0, 0, 0
	for _, e := range c.Value.Entries() {
		next, will := x.decision.New.Value.Lookup(e.Key)
		if got, has := x.cur.Value.Lookup(e.Key); has && got == e && x.owner(e) == w.Publisher {
			taken++
		} else if x.pending && will && next == e && got != e && x.attr.Owns(w.Publisher, e.Key) {
			coming++
		} else {
			others++
		}
	}
	switch {
	case coming > 0 || x.pending && x.decision.Source == w.Publisher:
		w.because(Pending, "the next sync takes its keys, unless a guard holds it")
	case c.Empty || len(c.Value.Entries()) == 0:
		w.because(Agrees, "has no key in it")
	case others == 0:
		w.Counts = true
		w.because(OwnsKeys, "its keys are taken as they are")
	case taken == 0:
		w.because(NotItsKeys, "these keys are another's")
	default:
		w.Counts = true
		w.because(OwnsSome, "of its keys those are taken that are its own")
	}
}

// lifecycle is what a record says of the person's being here.
func (x *explainer) lifecycle(o *people.Observation) Word {
	here := o.Lifecycle == people.Present
	w := Word{Publisher: o.Publisher, Says: SaysValue, Value: people.BoolValue(here), Verified: true}
	nothing := func() { w.Says, w.Value, w.Verified = SaysNothing, people.Value{}, false }
	state := map[people.Lifecycle]string{people.Present: "has a record", people.NotYet: "says that the person is not here yet",
		people.Blocked: "says that the login is blocked", people.Ended: "says that the person has left", people.Gone: "its record is gone"}[o.Lifecycle]
	blocked := x.Evidence.Find(people.AccessProvider)
	switch {
	case o.Publisher == people.AccessProvider && o.Lifecycle == people.Blocked && x.authority != "":
		w.because(BlocksLogin, "%s, which counts whoever else says what", state)
	case o.Publisher != x.authority:
		w.By = x.authority
		if w.because(NotAuthority, "%s, which decides nothing: no source that may say so has a record", state); w.By != "" {
			w.because(NotAuthority, "%s, which decides nothing: %s says whether the person is here", state, x.title(w.By))
		}
		if here == x.cur.Value.True() || o.Lifecycle == people.NotYet {
			nothing()
		}
		return w
	case blocked != nil && blocked.Lifecycle == people.Blocked:
		w.By = people.AccessProvider
		w.because(StaysBlocked, "%s; but the login is blocked", state)
		if here == x.cur.Value.True() {
			nothing()
		}
		return w
	case o.Lifecycle == people.Gone && x.Protected:
		nothing()
		w.because(IsProtected, "%s; but the person is protected, and stays", state)
		return w
	case o.Lifecycle == people.NotYet:
		nothing()
		w.because(NotYetHere, "%s: that changes nothing", state)
		return w
	default:
		w.because(SaysHere, "%s, and it is the one that says whether the person is here", state)
	}
	if w.Counts = w.Value.Equal(x.cur.Value); !w.Counts {
		w.because(Pending, "%s: the next sync takes that, unless a guard holds it", state)
	}
	return w
}

// clearedBy is whose clear mark stands, "" if none does.
func (x *explainer) clearedBy() people.Publisher {
	for _, c := range x.Evidence.Cleared {
		if c.Path == x.attr.Path {
			return c.Publisher
		}
	}
	return ""
}

// display says why the display is what it is.
func (x *explainer) display() string {
	now := x.cur.Metadata.Display
	if x.cur.Value.IsNull() {
		return "there is no value to show"
	}
	if len(x.attr.Displays) == 1 {
		return "the only one that this attribute can have"
	}
	var by []people.Publisher
	for _, p := range x.publishers {
		c, ok := x.claim(p.Name, x.attr)
		says := c.Display
		if c.Signed != nil {
			says = c.Signed.Metadata.Display
		}
		if !ok || c.Empty || says == "" || says != now {
			continue
		}
		if p.MayEditDisplay && (x.attr.ComposedBy != "" || c.Value.Equal(x.cur.Value)) {
			return "the person chose it in " + x.title(p.Name)
		}
		by = append(by, p.Name)
	}
	switch {
	case len(by) > 0:
		return "proposed by " + x.titles(by, "and")
	case now == x.attr.Display:
		return "what the catalogue says for it"
	}
	return "set earlier; a display that is set stays until the person chooses another"
}

// with returns the input with another observation of its publisher.
func (x *explainer) with(o people.Observation) Input {
	in := x.Input
	in.Evidence.Observations = slices.Clone(in.Evidence.Observations)
	for i := range in.Evidence.Observations {
		if in.Evidence.Observations[i].Publisher == o.Publisher {
			in.Evidence.Observations[i] = o
			return in
		}
	}
	in.Evidence.Observations = append(in.Evidence.Observations, o)
	return in
}

// record returns the publisher's observation, or one as if it had a record;
// its claim at the path is left out.
func (x *explainer) record(p people.Publisher) people.Observation {
	o := people.Observation{Publisher: p, Lifecycle: people.Present, SeenAt: x.Now}
	if known := x.Evidence.Find(p); known != nil {
		o = *known
	}
	o.Claims = slices.DeleteFunc(slices.Clone(o.Claims), func(c people.Claim) bool { return c.Path == x.attr.Path })
	return o
}

// nobodys is a text that nobody says.
const nobodys = "\x00"

// something is a value that stands nowhere, as the publisher would say it.
func (x *explainer) something(p people.Publisher) people.Value {
	switch {
	case x.attr.Kind == people.Bool:
		return people.BoolValue(!x.cur.Value.True())
	case x.attr.Kind == people.String:
		return people.StringValue(nobodys)
	case x.attr.ComposedBy == "":
		return people.MapValue(people.Entry{Key: nobodys})
	}
	key := nobodys
	for _, pattern := range x.attr.Keys[p] {
		start, _ := strings.CutSuffix(pattern, "*")
		key = start
	}
	c, _ := x.claim(p, x.attr)
	return people.MapValue(append(slices.Clone(c.Value.Entries()), people.Entry{Key: key, Value: nobodys})...)
}

// could lists who would change the attribute, and what it would take. Nothing
// of it is known beforehand: each is tried.
func (x *explainer) could() []Possibility {
	list := []Possibility{}
	if x.attr.Path == people.Active {
		list = x.couldEnd()
	} else {
		for _, p := range x.publishers {
			if p.Name == people.CIS {
				continue // it has no records
			}
			if q, ok := x.try(p.Name); ok {
				list = append(list, q)
			}
		}
	}
	for _, p := range x.publishers {
		if q, ok := x.unlinked(p.Name); ok {
			list = append(list, q)
		}
	}
	return list
}

// unlinked finds out what would stand if the record of a publisher were no
// longer the person's, whose word the value is, or part of it.
func (x *explainer) unlinked(p people.Publisher) (Possibility, bool) {
	of := func(e people.Entry) bool { return x.owner(e) == p }
	if x.Evidence.Find(p) == nil || p != x.source && (x.attr.ComposedBy == "" || !slices.ContainsFunc(x.cur.Value.Entries(), of)) {
		return Possibility{}, false
	}
	in := x.Input
	in.Evidence.Observations = slices.DeleteFunc(slices.Clone(in.Evidence.Observations), func(o people.Observation) bool { return o.Publisher == p })
	in.Withdrawn = append(slices.Clone(in.Withdrawn), p)
	in.Origin = map[people.Path]people.Publisher{x.attr.Path: x.source}
	d, ok := newMerger(in).settle(x.attr)
	q := Possibility{Needs: NeedsUnlink, Of: p, Publisher: d.Source, Rule: d.Rule, Value: d.New.Value}
	if d.Rule == RuleUnlinked || d.Rule == RuleComposed {
		q.Publisher = ""
	}
	return q, ok && !d.New.Value.Equal(d.Old.Value)
}

// try finds out what it takes for a publisher's new word to be taken.
func (x *explainer) try(p people.Publisher) (Possibility, bool) {
	o := x.record(p)
	o.Claims = append(o.Claims, people.Claim{Path: x.attr.Path, Value: x.something(p), Since: x.Now})
	o.Sort()
	taken := func(in Input) (Decision, bool) {
		d, ok := newMerger(in).settle(x.attr)
		if x.attr.ComposedBy != "" {
			return d, ok && slices.ContainsFunc(d.New.Value.Entries(), func(e people.Entry) bool { return e.Value == nobodys })
		}
		return d, ok && d.Source == p && !d.New.Value.Equal(d.Old.Value)
	}
	q := Possibility{Publisher: p, Needs: NeedsClaim}
	if x.Evidence.Find(p) == nil {
		q.Needs = NeedsRecord
	}
	if d, ok := taken(x.with(o)); ok {
		q.Rule = d.Rule
		return q, true
	}
	if o.Lifecycle == people.Gone {
		o.Lifecycle = people.Present
		if d, ok := taken(x.with(o)); ok {
			q.Needs, q.Rule = NeedsRecord, d.Rule
			return q, true
		}
	}
	if q.Needs == NeedsRecord {
		return q, false // and then another would have to be silent, too
	}
	for _, other := range x.publishers {
		if _, says := x.claim(other.Name, x.attr); !says || other.Name == p {
			continue
		}
		in := x.with(o)
		for i := range in.Evidence.Observations {
			if in.Evidence.Observations[i].Publisher == other.Name {
				in.Evidence.Observations[i] = x.record(other.Name)
			}
		}
		if d, ok := taken(in); ok {
			q.Needs, q.Of, q.Rule = NeedsSilence, other.Name, d.Rule
			return q, true
		}
	}
	return q, false
}

// couldEnd lists which records would end the person, or bring them back.
func (x *explainer) couldEnd() []Possibility {
	list := []Possibility{}
	for _, p := range x.publishers {
		for _, l := range []people.Lifecycle{people.Present, people.Ended, people.Blocked} {
			o := x.record(p.Name)
			o.Lifecycle = l
			d, ok := newMerger(x.with(o)).settle(x.attr)
			if !ok || d.Source != p.Name || d.New.Value.Equal(d.Old.Value) || l == people.Blocked && p.Name != people.AccessProvider {
				continue
			}
			q := Possibility{Needs: NeedsClaim, Publisher: p.Name, Rule: d.Rule, Lifecycle: l}
			if x.Evidence.Find(p.Name) == nil {
				q.Needs = NeedsRecord
			}
			list = append(list, q)
		}
	}
	return list
}

// outlook says what could be in sentences.
func (x *explainer) outlook(could []Possibility) string {
	var text []string
	say := func(format string, args ...any) { text = append(text, fmt.Sprintf(format, args...)) }
	switch x.attr.Path {
	case people.LastModified:
		return "It follows every write."
	case people.UUID:
		return "Nothing changes it."
	}
	var now, once, back []people.Publisher
	for _, q := range could {
		switch {
		case x.attr.Path == people.Active || q.Needs == NeedsUnlink:
		case q.Needs == NeedsClaim:
			now = append(now, q.Publisher)
		case q.Needs == NeedsRecord && x.Evidence.Find(q.Publisher) != nil:
			back = append(back, q.Publisher)
		case q.Needs == NeedsRecord:
			once = append(once, q.Publisher)
		}
	}
	by := x.clearedBy()
	switch {
	case len(now) == 0:
	case x.attr.ComposedBy != "":
		say("Each of %s changes keys of its own.", x.titles(now, "and"))
	case x.cur.Value.IsNull() && by != "":
		say("%s emptied it, and alone can fill it.", x.title(by))
	case x.cur.Value.IsNull():
		say("%s can set it by saying something.", x.titles(now, "or"))
	default:
		say("%s can change it by saying something else.", x.titles(now, "or"))
	}
	if len(once) > 0 {
		say("%s could, and has no record of the person.", x.titles(once, "or"))
	}
	if len(back) > 0 {
		say("%s could, if its record came back.", x.titles(back, "or"))
	}
	for _, q := range could {
		switch {
		case q.Needs == NeedsSilence:
			say("%s could, if %s said nothing about it.", x.title(q.Publisher), x.title(q.Of))
		case q.Lifecycle == people.Present:
			say("It becomes true when %s has the person%s.", x.title(q.Publisher), again(x.Evidence.Find(q.Publisher) != nil))
		case q.Lifecycle == people.Blocked:
			say("It becomes false when %s blocks the login.", x.title(q.Publisher))
		case q.Lifecycle == people.Ended:
			say("It becomes false when %s says that the person has left, or has them no more.", x.title(q.Publisher))
		case q.Needs == NeedsUnlink && q.Value.IsEmpty():
			say("Without the record of %s there would be no value.", x.title(q.Of))
		case q.Needs == NeedsUnlink && q.Publisher == "":
			say("Without the record of %s its keys would go.", x.title(q.Of))
		case q.Needs == NeedsUnlink:
			say("Without the record of %s it would be what %s says.", x.title(q.Of), x.title(q.Publisher))
		}
	}
	if len(could) == 0 {
		return "Nothing that any source says changes it."
	}
	for i, t := range text {
		text[i] = strings.ToUpper(t[:1]) + t[1:]
	}
	return strings.Join(text, " ")
}

func again(yes bool) string {
	if yes {
		return " again"
	}
	return ""
}
