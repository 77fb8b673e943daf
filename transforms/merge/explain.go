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
	// Reason is a sentence: why it counts, or why it does not.
	Reason string `json:"reason"`
}

// An Explanation says why an attribute is what it is.
type Explanation struct {
	Path    people.Path    `json:"path"`
	Content people.Content `json:"content"`
	// Source is whose word the value is, "" for a value that nobody's word is
	// (uuid, an import) and for none.
	Source people.Publisher `json:"source,omitzero"`
	// Words are those of all publishers that have a say or a record, in the
	// order of the catalogue.
	Words []Word `json:"words"`
	// Keys says whose each key of a composed map is.
	Keys map[string]people.Publisher `json:"keys,omitzero"`
	// Display says why the display is what it is.
	Display string `json:"display_reason"`
	// Outlook says what would have to change for another value to stand here.
	Outlook string `json:"outlook"`
	// Pending is what a merge of all this would do now: nothing, unless
	// something is held, or was said after the last run.
	Pending *people.Change `json:"pending,omitzero"`
}

// Explain explains an attribute of a stored profile by the rules of Merge: what
// each publisher says, and why it counts or does not. Source is whose word the
// stored value is, by the person's history; "" if that is not known.
func Explain(in Input, path people.Path, source people.Publisher) (Explanation, bool) {
	attr, ok := in.Catalogue.Find(path)
	if !ok || in.Stored == nil {
		return Explanation{}, false
	}
	cur, ok := in.Stored.Find(path)
	if !ok {
		cur = attr.Null()
	}
	x := explainer{&merger{in, Authority(&in.Evidence), in.Catalogue.Publishers()}, &attr, cur}
	e := Explanation{Path: path, Content: people.ContentOf(cur), Source: source}
	if cur.Value.IsNull() {
		e.Source = ""
	}
	if decisions, _ := Merge(in); true {
		if i := slices.IndexFunc(decisions, func(d Decision) bool { return d.Path == path }); i >= 0 {
			e.Pending = &decisions[i].Change
		}
	}
	for _, p := range x.publishers {
		if w, speaks := x.word(p.Name, e.Source); speaks {
			e.Words = append(e.Words, w)
		}
	}
	if attr.ComposedBy != "" {
		e.Keys = map[string]people.Publisher{}
		for _, entry := range cur.Value.Entries() {
			e.Keys[entry.Key] = x.owner(entry)
		}
	}
	e.Display, e.Outlook = x.display(), x.outlook()
	return e, true
}

type explainer struct {
	*merger
	attr *catalogue.Attribute
	cur  people.Attribute
}

// title is what people call a publisher.
func (x *explainer) title(p people.Publisher) string {
	for _, known := range x.publishers {
		if known.Name != p || known.Title == "" {
			continue
		}
		first, rest, several := strings.Cut(known.Title, " ")
		if !several {
			return known.Title // a name, such as GitHub
		}
		if rest == strings.ToLower(rest) && len(first) > 1 && first[1:] == strings.ToLower(first[1:]) {
			first = strings.ToLower(first) // no abbreviation, and no name of several words
		}
		return "the " + first + " " + rest
	}
	return string(p)
}

func (x *explainer) titles(list []people.Publisher, last string) string {
	var names []string
	for _, p := range list {
		names = append(names, x.title(p))
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " " + last + " " + names[len(names)-1]
}

// owner is whose a key of a composed map is: who claims it, else who may.
func (x *explainer) owner(e people.Entry) people.Publisher {
	var may people.Publisher
	for _, p := range x.publishers {
		if !x.attr.Owns(p.Name, e.Key) {
			continue
		}
		if c, ok := x.claim(p.Name, x.attr); ok {
			if got, has := c.Value.Lookup(e.Key); has && got == e {
				return p.Name
			}
		}
		if may == "" {
			may = p.Name
		}
	}
	return may
}

// word is what a publisher says. Publishers that have neither a record nor a say
// in the attribute have none.
func (x *explainer) word(p people.Publisher, source people.Publisher) (Word, bool) {
	w := Word{Publisher: p, Says: NoRecord}
	has := x.attr.MayCreate(p) || x.attr.MayUpdate(p) || x.attr.ProvenBy == p || len(x.attr.Keys[p]) > 0
	o := x.Evidence.Find(p)
	if o == nil {
		w.Reason = "has no record of the person"
		return w, has && p != people.CIS
	}
	if x.attr.Path == people.Active {
		return x.lifecycle(o), true
	}
	raw, said := o.Claim(x.attr.Path)
	c, counts := x.claim(p, x.attr)
	switch {
	case !said && !counts:
		w.Says, w.Reason = SaysNothing, "says nothing about it"
		return w, has
	case said && !counts:
		w.Says, w.Value, w.Reason = SaysValue, raw.Value, fmt.Sprintf("not taken: its value is not a %s", x.attr.Kind)
		return w, true
	case c.Empty:
		w.Says = SaysEmpty
	default:
		w.Says, w.Value, w.Display, w.Verified = SaysValue, c.Value, c.Display, !c.Unverified
	}
	w.Counts, w.Reason = x.verdict(p, o, c, source)
	return w, true
}

// verdict says whether a claim counts, and why.
func (x *explainer) verdict(p people.Publisher, o *people.Observation, c people.Claim, source people.Publisher) (bool, string) {
	attr, cur := x.attr, x.cur
	if attr.ComposedBy != "" {
		return x.composed(p, c)
	}
	same := c.Empty && cur.Value.IsEmpty() || !c.Empty && c.Value.Equal(cur.Value)
	gone := o.Lifecycle == people.Gone
	switch {
	case same && p == source && c.Empty:
		return true, "emptied it"
	case same && p == attr.Update:
		return true, "its word counts: it alone may change the value"
	case same && p == source && p == attr.ProvenBy:
		return true, "its record proves it, and cis signs"
	case same && p == source:
		return true, "set it when there was no value"
	case same && !c.Empty:
		return false, "says the same"
	case same:
		return false, "says that there is none"
	case gone:
		return false, "not taken: its record is gone"
	case p == attr.Update && unproven(attr, cur, c):
		return false, "not taken: nobody verified the address, and another is verified"
	case p == attr.Update && c.Signed != nil && !attr.Allows(c.Signed.Metadata.Display):
		return false, "not taken: it is signed with a display that is not allowed here"
	case (attr.Path == people.UserID || attr.Path == people.PrimaryUsername) && (c.Empty || c.Value.IsEmpty()):
		return false, "not taken: a person is found by it, so that nobody empties it"
	case attr.Path == people.UserID && p != attr.ProvenBy && x.Evidence.Find(attr.ProvenBy) != nil:
		return false, "not taken: the login of whoever is in " + x.title(attr.ProvenBy) + " follows it"
	case p == attr.Update:
		return false, "not taken yet: the next sync decides, unless a guard holds it"
	case cur.Value.IsNull() && x.barred(attr.Path, p):
		return false, "not taken: " + x.title(x.clearedBy()) + " emptied it, and nobody else fills it"
	case cur.Value.IsNull() && attr.MayCreate(p) && !c.Empty:
		return false, "not taken yet: the next sync decides, unless a guard holds it"
	case cur.Value.IsNull():
		return false, "not taken: it may not set it"
	case c.Empty:
		return false, "not taken: it may not empty what " + x.whoseWord(source) + " said"
	case attr.ProvenBy == p:
		return false, "not taken: " + x.whoseWord(attr.Update) + " has the first word, and its record would prove another value"
	case attr.MayCreate(p) && attr.Update == "":
		return false, "not taken: once it is set, nobody may change it"
	case attr.MayCreate(p):
		return false, "not taken: it may set a value where there is none, and only " + x.title(attr.Update) + " may change it"
	case attr.Update == "":
		return false, "not taken: nobody may change it"
	}
	return false, "not taken: only " + x.title(attr.Update) + " may change it"
}

func (x *explainer) whoseWord(p people.Publisher) string {
	if p == "" {
		return "another"
	}
	return x.title(p)
}

// composed says what becomes of a claim about a map with several owners.
func (x *explainer) composed(p people.Publisher, c people.Claim) (bool, string) {
	taken, others := 0, 0
	for _, e := range c.Value.Entries() {
		if got, has := x.cur.Value.Lookup(e.Key); x.attr.Owns(p, e.Key) && has && got == e && x.owner(e) == p {
			taken++
		} else {
			others++
		}
	}
	switch {
	case c.Empty || len(c.Value.Entries()) == 0:
		return false, "has no key in it"
	case others == 0:
		return true, "its keys are taken as they are"
	case taken == 0:
		return false, "not taken: these keys are not its own, or somebody else's word about them counts"
	}
	return true, "of its keys those are taken that are its own"
}

// lifecycle is what a record says of the person's being here.
func (x *explainer) lifecycle(o *people.Observation) Word {
	w := Word{Publisher: o.Publisher, Says: SaysValue, Value: people.BoolValue(o.Lifecycle == people.Present), Verified: true}
	state := map[people.Lifecycle]string{people.Present: "the person is here", people.NotYet: "the person is not here yet", people.Blocked: "the login is blocked",
		people.Ended: "the person has left", people.Gone: "its record is gone"}[o.Lifecycle]
	switch blocked := x.Evidence.Find(people.AccessProvider); {
	case o.Lifecycle == people.Blocked && o.Publisher == people.AccessProvider:
		w.Counts, w.Reason = true, state+": that counts whoever else says what"
	case o.Publisher != x.authority:
		w.Says, w.Value, w.Reason = SaysNothing, people.Value{}, state+", which decides nothing: "+x.whoseWord(x.authority)+" says whether the person is here"
		if o.Lifecycle == people.Present {
			w.Reason = "has a record, which decides nothing: " + x.whoseWord(x.authority) + " says whether the person is here"
		}
	case blocked != nil && blocked.Lifecycle == people.Blocked:
		w.Reason = state + "; but the login is blocked"
	case o.Lifecycle == people.Gone && x.Protected:
		w.Says, w.Value, w.Reason = SaysNothing, people.Value{}, state+"; but the person is protected, and stays"
	case o.Lifecycle == people.NotYet:
		w.Says, w.Value, w.Reason = SaysNothing, people.Value{}, state+": that changes nothing"
	default:
		w.Counts, w.Reason = true, state+", and it says whether the person is here"
	}
	return w
}

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
	for _, p := range x.publishers {
		if c, ok := x.claim(p.Name, x.attr); ok && p.MayEditDisplay && c.Display != "" && c.Display == now {
			return "the person chose it in " + x.title(p.Name)
		}
	}
	var by []people.Publisher
	for _, p := range x.publishers {
		if c, ok := x.claim(p.Name, x.attr); ok && c.Display != "" && c.Display == now {
			by = append(by, p.Name)
		}
	}
	switch {
	case len(by) > 0:
		return "proposed by " + x.titles(by, "and")
	case now == x.attr.Display:
		return "what the catalogue says for it"
	}
	return "set earlier; a display that is set stays until the person chooses another"
}

// outlook says what would have to change.
func (x *explainer) outlook() string {
	attr := x.attr
	switch {
	case attr.Path == people.LastModified:
		return "It follows every write."
	case attr.Path == people.UUID:
		return "Nothing changes it."
	case attr.Path == people.Active:
		if x.authority == "" {
			return "No source that may say whether the person is here has a record of them."
		}
		return fmt.Sprintf("It follows %s, which says whether the person is here; a login that is blocked is inactive whoever says what.", x.title(x.authority))
	case attr.ComposedBy != "":
		var owners []people.Publisher
		for _, p := range x.publishers {
			if len(attr.Keys[p.Name]) > 0 || attr.MayCreate(p.Name) || attr.MayUpdate(p.Name) {
				owners = append(owners, p.Name)
			}
		}
		return fmt.Sprintf("Each of %s changes its own keys.", x.titles(owners, "and"))
	case x.cur.Value.IsNull():
		if by := x.clearedBy(); by != "" {
			return fmt.Sprintf("Only %s can fill what it emptied.", x.title(by))
		}
		if len(attr.Create) == 0 {
			return "Nobody may set it."
		}
		return fmt.Sprintf("The first to say something sets it: %s.", x.titles(attr.Create, "or"))
	}
	var can []string
	if attr.Path == people.UserID && attr.ProvenBy != "" && x.here(attr.ProvenBy) {
		return fmt.Sprintf("It follows %s.", x.title(attr.ProvenBy))
	}
	if attr.Update != "" {
		what := fmt.Sprintf("%s can change it", x.title(attr.Update))
		if x.Evidence.Find(attr.Update) == nil && attr.Update != people.CIS {
			what = fmt.Sprintf("only %s can change it, and has no record of the person", x.title(attr.Update))
		}
		can = append(can, what)
	}
	if attr.ProvenBy != "" && x.here(attr.ProvenBy) {
		can = append(can, fmt.Sprintf("while that says nothing, it follows the record of %s", x.title(attr.ProvenBy)))
	}
	if len(can) == 0 {
		return "Once it is set, nobody may change it."
	}
	text := strings.Join(can, "; ") + "."
	return strings.ToUpper(text[:1]) + text[1:]
}
