// Package merge decides, attribute by attribute, what a person's profile
// says. It is a pure function of the stored profile, all current observations
// of the person, the catalogue and the run's clock: the order in which things
// arrived never matters.
//
// # Who decides an attribute
//
//   - A map with several owners (usernames) is composed: each source replaces
//     its own keys and nobody else's, and cis signs the whole. A key that
//     several publishers may own goes when the updater, if it is one of them,
//     or else all of them are heard, and none claims it.
//   - A value that is there is changed only by the attribute's updater; failing
//     a claim of theirs, by a proof: an identity fact that the linked record
//     itself shows (its DN, its uid, its node id), which cis signs. The user_id
//     of whoever is in LDAP follows LDAP first: the record of a login is found
//     by it and proves nothing about it.
//   - A value that is not there is set by the updater, if the create list names
//     it, else by the first publisher of that list that claims one, else by a
//     proof.
//   - An address that nobody verified does not take the place of a verified one.
//   - Nobody fills what its owner emptied, and nobody empties the user_id or
//     the username, by which a person is found.
//   - active follows the person's lifecycle authority: HRIS if linked, else
//     LDAP, else the access provider. cis decides and signs. A login that is
//     blocked keeps everybody out until it is not blocked any more; that it is
//     gone does not undo it.
//   - What a record said that is no longer the person's goes back to where it
//     came from: to what another publisher claims as if nobody had said
//     anything, else to nothing. It is no clearing: no mark stands.
//
// So a first name, once it has a value, belongs to the person, who keeps it in
// the people directory: a new one in LDAP changes nothing.
//
// Display: publishers propose, and a proposal counts only where none is set. A
// publisher that may edit display (the people directory: there a person says
// who may see what) changes display and verified of any attribute, as long as
// it repeats the value that stands.
package merge

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
)

// The rules by which a claim can win.
const (
	RuleUpdater   = "updater"   // the publisher named as updater
	RuleCreator   = "creator"   // the first of the create list, no value was there
	RuleProof     = "proof"     // an identity fact of the linked record
	RuleComposed  = "composed"  // each source its own keys
	RuleLifecycle = "lifecycle" // the lifecycle authority
	RuleIdentity  = "identity"  // uuid and username of a new person
	RuleDisplay   = "display"   // who may see it, by whom the person asks
	RuleUnlinked  = "unlinked"  // the record that said it is no longer the person's
)

// Input is everything a decision may depend on.
type Input struct {
	ID       people.ID
	Username string // of a new person
	// Stored is nil for a new person.
	Stored    *people.Profile
	Evidence  people.Evidence
	Catalogue *catalogue.Catalogue
	Now       time.Time
	// First lists publishers whose record was linked in this run: what their
	// proofs change is no relink.
	First []people.Publisher
	// Protected people are not ended by absence.
	Protected bool
	// Withdrawn lists publishers whose record is no longer the person's, and
	// is not among the evidence. Origin says whose word each stored value is, as
	// far as that is known; failing that it is the signer's.
	Withdrawn []people.Publisher
	Origin    map[people.Path]people.Publisher
}

// A Decision is a change with the class and source it belongs to.
type Decision struct {
	people.Change
	Class  people.Class
	Source people.Publisher
}

// Authority returns the publisher that may end the person, "" if none.
func Authority(e *people.Evidence) people.Publisher {
	for _, p := range []people.Publisher{people.HRIS, people.LDAP, people.AccessProvider} {
		if e.Find(p) != nil {
			return p
		}
	}
	return ""
}

// Merge returns the attributes that change, in the order of paths, and the
// clear marks as they will be. Dates are not in it: whoever applies the
// changes stamps them.
func Merge(in Input) ([]Decision, []people.Cleared) {
	var out []Decision
	if in.Stored == nil {
		out = make([]Decision, 0, 32) // what a new person usually has
	}
	m := newMerger(in)
	marks := m.Evidence.Cleared
	for i := range in.Catalogue.Attributes {
		attr := &in.Catalogue.Attributes[i]
		d, ok := m.settle(attr)
		if !ok || !d.changes() {
			continue
		}
		d.Path = attr.Path
		d.Class = m.classify(d)
		marks = mark(marks, d, in.Now)
		out = append(out, d)
	}
	return out, marks
}

func newMerger(in Input) *merger {
	m := &merger{in, Authority(&in.Evidence), in.Catalogue.Publishers()}
	m.Evidence.Cleared = slices.DeleteFunc(slices.Clone(in.Evidence.Cleared), func(c people.Cleared) bool { return slices.Contains(in.Withdrawn, c.Publisher) })
	return m
}

// changes reports whether anything differs after the decision.
func (d Decision) changes() bool {
	return !d.New.Equal(d.Old) && !(d.New.Value.IsNull() && d.Old.Value.IsNull())
}

// stored returns the attribute as it stands, null if it does not.
func (m *merger) stored(attr *catalogue.Attribute) people.Attribute {
	if m.Stored != nil {
		if a, ok := m.Stored.Find(attr.Path); ok {
			return a
		}
	}
	return attr.Null()
}

// settle decides one attribute. A decision that changes nothing names whose
// word keeps it as it is.
func (m *merger) settle(attr *catalogue.Attribute) (Decision, bool) {
	stored := m.stored(attr)
	cur := stored
	from := m.withdrawn(attr, cur)
	if from != "" {
		cur = m.without(attr, cur, from)
	}
	d, ok := m.decide(attr, cur)
	if ok && (d.Rule == RuleCreator || d.Rule == RuleIdentity) { // who may update or prove what is created need not wait for the next run
		created := cur
		created.Value, created.Metadata.Display, created.Metadata.Verified = d.New.Value, d.New.Display, d.New.Verified
		if next, again := m.decide(attr, created); again && !next.New.Equal(d.New) {
			next.Old = d.Old
			d = next
		}
	}
	if from != "" {
		d, ok = m.giveBack(attr, stored, cur, from, d, ok), true
	}
	d, ok = m.edit(attr, stored, d, ok)
	if ok && d.Rule == RuleDisplay && stored.Metadata.Verified && !d.New.Verified { // what is verified no more need not wait for the next run either
		edited := stored
		edited.Metadata.Display, edited.Metadata.Verified = d.New.Display, false
		if next, again := m.decide(attr, edited); again && !next.New.Value.Equal(d.New.Value) {
			next.Old = d.Old
			d, ok = m.edit(attr, stored, next, true)
		}
	}
	return d, ok
}

type merger struct {
	Input
	authority  people.Publisher
	publishers []catalogue.Publisher
}

// withdrawn returns the publisher whose word the stored value is and whose
// record is no longer the person's, "" if there is none.
func (m *merger) withdrawn(attr *catalogue.Attribute, cur people.Attribute) people.Publisher {
	switch attr.Path {
	case people.UUID, people.UserID, people.PrimaryUsername, people.Active, people.Created, people.LastModified:
		return "" // what makes the profile, and follows no record back
	}
	for _, p := range m.Withdrawn {
		if attr.ComposedBy != "" {
			if slices.ContainsFunc(cur.Value.Entries(), func(e people.Entry) bool { return attr.Owns(p, e.Key) }) {
				return p
			}
			continue
		}
		origin, known := m.Origin[attr.Path]
		if !known {
			origin = people.Publisher(cur.Signature.Publisher.Name)
		}
		if origin == p && !cur.Value.IsNull() {
			return p
		}
	}
	return ""
}

// without is the attribute as if the publisher had never spoken.
func (m *merger) without(attr *catalogue.Attribute, cur people.Attribute, p people.Publisher) people.Attribute {
	if attr.ComposedBy == "" {
		cur.Value = people.NullValue(attr.Kind == people.Map)
		return cur
	}
	cur.Value = people.MapValue(slices.DeleteFunc(slices.Clone(cur.Value.Entries()), func(e people.Entry) bool {
		return slices.ContainsFunc(m.Withdrawn, func(p people.Publisher) bool { return attr.Owns(p, e.Key) }) &&
			!slices.ContainsFunc(m.Evidence.Observations, func(o people.Observation) bool { return attr.Owns(o.Publisher, e.Key) })
	})...)
	return cur
}

// giveBack makes the decision about an attribute that was withdrawn: what the
// others say, else nothing.
func (m *merger) giveBack(attr *catalogue.Attribute, stored, cur people.Attribute, from people.Publisher, d Decision, ok bool) Decision {
	old := people.ContentOf(stored)
	if ok {
		d.Old = old
		return d
	}
	d = Decision{Change: people.Change{Old: old, New: people.Content{Value: cur.Value, Display: old.Display, Verified: true}, Publisher: from, Rule: RuleUnlinked, Since: m.Now}, Source: from}
	if attr.ComposedBy != "" {
		d.Publisher = attr.ComposedBy
	} else {
		d.New.Display = attr.Display
	}
	return d
}

// proposed is the display that somebody proposes where the one whose value
// counts proposes none: who comes first must not decide it.
func (m *merger) proposed(attr *catalogue.Attribute) string {
	for _, p := range append([]people.Publisher{attr.Update}, attr.Create...) {
		if c, ok := m.claim(p, attr); ok && c.Display != "" && attr.Allows(c.Display) {
			return c.Display
		}
	}
	return ""
}

// edits reports whether the publisher may edit the display of any attribute.
func (m *merger) edits(p people.Publisher) bool {
	return slices.ContainsFunc(m.publishers, func(x catalogue.Publisher) bool { return x.Name == p && x.MayEditDisplay })
}

// edit lets a publisher that may edit display have its say about a value that
// it repeats. Who signs a new value signs its display with it.
func (m *merger) edit(attr *catalogue.Attribute, cur people.Attribute, d Decision, ok bool) (Decision, bool) {
	now := people.ContentOf(cur)
	if ok {
		now = d.New
	}
	for _, p := range m.publishers {
		c, said := m.claim(p.Name, attr)
		if !p.MayEditDisplay || !said || c.Empty || attr.ComposedBy != "" || attr.Path == people.Active || attr.Path == people.LastModified || !c.Value.Equal(now.Value) || ok && d.Publisher == p.Name {
			continue
		}
		next := people.Content{Value: now.Value, Display: now.Display, Verified: !c.Unverified}
		if c.Display != "" && attr.Allows(c.Display) {
			next.Display = c.Display
		}
		if c.Signed != nil {
			if next = people.ContentOf(*c.Signed); !attr.Allows(next.Display) {
				continue
			}
		}
		switch {
		case next.Equal(now):
		case ok && !now.Value.Equal(cur.Value):
			d.New, d.Signed = next, nil
		default:
			return Decision{Change: people.Change{Old: people.ContentOf(cur), New: next, Publisher: p.Name, Rule: RuleDisplay, Since: c.Since, Signed: c.Signed}, Source: p.Name}, true
		}
	}
	return d, ok
}

func (m *merger) decide(attr *catalogue.Attribute, cur people.Attribute) (Decision, bool) {
	d := Decision{Change: people.Change{Old: people.ContentOf(cur)}}
	by := func(p people.Publisher, rule string, c people.Claim) (Decision, bool) {
		d.Publisher, d.Source, d.Rule, d.Since, d.Signed = p, p, rule, c.Since, c.Signed
		if rule == RuleProof {
			d.Publisher, d.Signed = people.CIS, nil
		}
		proposed := c
		if c.Display == "" {
			proposed.Display = m.proposed(attr)
		}
		d.New = people.Content{Value: claimed(attr, cur, c), Display: display(attr, cur, proposed), Verified: !c.Unverified}
		if c.Display != "" && attr.Allows(c.Display) && m.edits(p) {
			d.New.Display = c.Display
		}
		if c.Signed != nil && rule != RuleProof {
			if d.New = people.ContentOf(*c.Signed); !attr.Allows(d.New.Display) {
				return d, false // it can neither be stored nor be changed
			}
		}
		if d.New.Value.IsNull() && cur.Value.IsNull() {
			return d, false
		}
		if findable := attr.Path == people.UserID || attr.Path == people.PrimaryUsername; findable && d.New.Value.IsEmpty() && !cur.Value.IsEmpty() {
			return d, false
		}
		if d.New.Value.IsNull() {
			d.New.Display, d.New.Verified, d.Signed = cur.Metadata.Display, cur.Metadata.Verified, nil
		}
		return d, true
	}
	switch {
	case attr.Path == people.LastModified:
		return d, false // follows every write
	case attr.Path == people.Active:
		return m.active(d, cur)
	case attr.Path == people.UUID || attr.Path == people.PrimaryUsername:
		if m.Stored != nil || !cur.Value.IsNull() {
			if attr.Path == people.UUID {
				return d, false
			}
			break
		}
		text := m.ID.String()
		if attr.Path == people.PrimaryUsername {
			text = m.Username
		}
		return by(people.CIS, RuleIdentity, people.Claim{Value: people.StringValue(text), Since: m.Now})
	case attr.ComposedBy != "":
		return m.compose(d, attr, cur)
	}
	proven := func() (people.Claim, bool) {
		c, ok := m.claim(attr.ProvenBy, attr)
		return c, ok && !c.Empty && m.here(attr.ProvenBy)
	}
	if c, ok := proven(); ok && attr.Path == people.UserID {
		switch {
		case !cur.Value.IsNull():
			return by(attr.ProvenBy, RuleProof, c)
		case attr.MayCreate(attr.ProvenBy):
			return by(attr.ProvenBy, RuleCreator, c)
		}
	}
	if c, ok := m.claim(attr.Update, attr); ok && !unproven(attr, cur, c) && attr.Update != "" && (!cur.Value.IsNull() || attr.MayCreate(attr.Update)) {
		return by(attr.Update, RuleUpdater, c)
	}
	if !cur.Value.IsNull() {
		if c, ok := proven(); ok {
			return by(attr.ProvenBy, RuleProof, c)
		}
		return d, false
	}
	for _, p := range attr.Create {
		if c, ok := m.claim(p, attr); ok && !c.Empty && !m.barred(attr.Path, p) {
			return by(p, RuleCreator, c)
		}
	}
	if c, ok := proven(); ok && !m.barred(attr.Path, attr.ProvenBy) {
		return by(attr.ProvenBy, RuleProof, c)
	}
	if attr.Path == people.Created && m.Stored == nil {
		return by(people.CIS, RuleIdentity, people.Claim{Value: people.StringValue(m.Now.UTC().Format(people.TimeFormat)), Since: m.Now})
	}
	return d, false
}

// claim returns what a publisher claims now, if it is of the attribute's kind. A
// record that is gone, while another authority keeps the person here, gives no
// access any more.
func (m *merger) claim(p people.Publisher, attr *catalogue.Attribute) (people.Claim, bool) {
	o := m.Evidence.Find(p)
	if o == nil {
		return people.Claim{}, false
	}
	c, ok := o.Claim(attr.Path)
	if container, _ := attr.Path.Split(); ok && o.Lifecycle == people.Gone && p != m.authority && container == "access_information" {
		c = people.Claim{Path: attr.Path, Empty: true, Since: o.SeenAt}
	}
	return c, ok && (c.Empty || c.Value.Kind() == attr.Kind)
}

// unproven reports whether a claim is of an address that nobody has verified,
// in the place of another that somebody has: mail for the person, and what is
// granted by it, must not go there.
func unproven(attr *catalogue.Attribute, cur people.Attribute, c people.Claim) bool {
	return attr.Path == people.PrimaryEmail && c.Unverified && cur.Metadata.Verified && !cur.Value.IsEmpty() && !c.Value.Equal(cur.Value)
}

// here reports whether the publisher's record is not gone.
func (m *merger) here(p people.Publisher) bool {
	o := m.Evidence.Find(p)
	return o != nil && o.Lifecycle != people.Gone
}

// barred reports whether a clear mark of somebody else forbids p to fill path.
func (m *merger) barred(path people.Path, p people.Publisher) bool {
	return slices.ContainsFunc(m.Evidence.Cleared, func(c people.Cleared) bool { return c.Path == path && c.Publisher != p })
}

func (m *merger) active(d Decision, cur people.Attribute) (Decision, bool) {
	d.Publisher, d.Source, d.Rule = people.CIS, m.authority, RuleLifecycle
	d.New = people.Content{Value: cur.Value, Display: cur.Metadata.Display, Verified: true}
	o := m.Evidence.Find(m.authority)
	if o == nil {
		return d, false
	}
	switch d.Since = o.SeenAt; o.Lifecycle {
	case people.Present:
		d.New.Value = people.BoolValue(true)
	case people.NotYet:
		if m.Stored == nil {
			d.New.Value = people.BoolValue(m.authority != people.HRIS)
		}
	case people.Ended, people.Blocked:
		d.New.Value = people.BoolValue(false)
	case people.Gone:
		if !m.Protected {
			d.New.Value = people.BoolValue(false)
		}
	}
	if b := m.Evidence.Find(people.AccessProvider); b != nil && b.Lifecycle == people.Blocked {
		d.New.Value, d.Source, d.Since = people.BoolValue(false), people.AccessProvider, b.SeenAt
	}
	return d, !d.New.Value.IsNull()
}

// owners lists who may have keys in a composed map, the first word first.
func owners(attr *catalogue.Attribute) []people.Publisher {
	return slices.Concat([]people.Publisher{attr.Update}, attr.Create, slices.Sorted(maps.Keys(attr.Keys)))
}

// compose puts a map together in which every source has keys of its own. Of
// several claims of one key the updater's counts, then the first of the create
// list.
func (m *merger) compose(d Decision, attr *catalogue.Attribute, cur people.Attribute) (Decision, bool) {
	owners := owners(attr)
	stays := func(e people.Entry) bool {
		mine := func(p people.Publisher) bool { return attr.Owns(p, e.Key) }
		heard := func(p people.Publisher) bool { _, ok := m.claim(p, attr); return ok }
		if mine(attr.Update) && heard(attr.Update) {
			return false // unless somebody claims it now
		}
		silent := func(p people.Publisher) bool { return mine(p) && !heard(p) }
		return slices.ContainsFunc(owners, silent) || !slices.ContainsFunc(owners, mine)
	}
	entries := slices.DeleteFunc(slices.Clone(cur.Value.Entries()), func(e people.Entry) bool { return !stays(e) })
	of := func(p people.Publisher, v people.Value) []people.Entry {
		return slices.DeleteFunc(slices.Clone(v.Entries()), func(e people.Entry) bool { return !attr.Owns(p, e.Key) })
	}
	proposed, chosen := people.Claim{}, ""
	for _, p := range slices.Backward(owners) {
		if c, ok := m.claim(p, attr); ok && !c.Empty {
			proposed.Display = cmp.Or(c.Display, proposed.Display)
			if m.edits(p) && c.Display != "" && attr.Allows(c.Display) {
				chosen = c.Display
			}
			entries = append(entries, of(p, c.Value)...)
		}
	}
	d.New = people.Content{Value: people.MapValue(entries...), Display: cmp.Or(chosen, display(attr, cur, proposed)), Verified: true}
	for _, p := range owners {
		if c, ok := m.claim(p, attr); ok && (!slices.Equal(of(p, cur.Value), of(p, d.New.Value)) || m.edits(p) && d.New.Display != d.Old.Display) {
			d.Publisher, d.Source, d.Rule, d.Since = attr.ComposedBy, p, RuleComposed, c.Since
			return d, true
		}
	}
	return d, false
}

func (m *merger) classify(d Decision) people.Class {
	switch {
	case m.Stored == nil:
		return people.Create
	case d.New.Value.Equal(d.Old.Value):
		return people.Update // of display or verified
	case d.Path == people.Active && d.New.Value.True() && !d.Old.Value.IsNull():
		return people.Reactivate
	case d.Path == people.Active && d.Old.Value.True():
		return people.Deactivate
	case !d.New.Value.IsEmpty() && !d.Old.Value.IsNull() && !slices.Contains(m.First, d.Source) &&
		(d.Rule == RuleProof && d.Source == people.LDAP || d.Path == people.UserID || d.Path == people.PrimaryEmail):
		return people.Relink
	case d.New.Value.IsEmpty() && !d.Old.Value.IsEmpty():
		return people.Clear
	}
	return people.Update
}

// claimed is the value a claim asks for: an empty map stays a map once there
// was one, so that it can be signed; an empty scalar is null.
func claimed(attr *catalogue.Attribute, cur people.Attribute, c people.Claim) people.Value {
	if !c.Empty {
		return c.Value
	}
	if attr.Kind == people.Map && !cur.Value.IsNull() {
		return people.MapValue()
	}
	return people.NullValue(attr.Kind == people.Map)
}

// display keeps what is set, takes a proposal where nothing is, and falls
// back to the catalogue's default. The display of a null counts as set only
// if it is not that default.
func display(attr *catalogue.Attribute, cur people.Attribute, c people.Claim) string {
	now := cur.Metadata.Display
	switch {
	case now != "" && (!cur.Value.IsNull() || now != attr.Display):
		return now
	case c.Display != "" && attr.Allows(c.Display):
		return c.Display
	case cur.Value.IsNull():
		return attr.Display
	}
	return now
}

func mark(marks []people.Cleared, d Decision, now time.Time) []people.Cleared {
	marks = slices.DeleteFunc(marks, func(c people.Cleared) bool { return c.Path == d.Path && !d.New.Value.IsNull() })
	if d.Rule != RuleUnlinked && d.New.Value.IsNull() && !d.Old.Value.IsNull() && !slices.ContainsFunc(marks, func(c people.Cleared) bool { return c.Path == d.Path }) {
		marks = append(marks, people.Cleared{Path: d.Path, Publisher: d.Source, At: now})
	}
	return marks
}

// Fold puts an observation into the evidence, in the place of the publisher's
// earlier one, and reports whether that changed what is said. A claim that is
// the same keeps its date; a claim that was made after the other observation's
// extract began stays. Of two observations the one seen later counts, whichever
// comes first.
func Fold(e *people.Evidence, o people.Observation) bool {
	o.Claims = slices.Clone(o.Claims)
	for k := range o.Claims {
		if c := &o.Claims[k]; c.Since.IsZero() {
			c.Since = o.SeenAt
		}
	}
	i, found := slices.BinarySearchFunc(e.Observations, o.Publisher, func(x people.Observation, p people.Publisher) int {
		return strings.Compare(string(x.Publisher), string(p))
	})
	if !found {
		e.Observations = slices.Insert(e.Observations, i, o)
		return true
	}
	old := e.Observations[i]
	next := over(old, o)
	if old.SeenAt.After(o.SeenAt) {
		next = over(o, old)
	}
	if string(old.AppendContent(nil)) == string(next.AppendContent(nil)) {
		return false
	}
	e.Observations[i] = next
	return true
}

// over returns the later observation with what of the earlier one still stands.
func over(earlier, later people.Observation) people.Observation {
	later.Claims = slices.Clone(later.Claims)
	for k := range later.Claims {
		c := &later.Claims[k]
		was, ok := earlier.Claim(c.Path)
		switch {
		case ok && was.Same(*c) && (was.Since.Before(c.Since) || was.Since.After(later.SeenAt)),
			ok && was.Since.After(later.SeenAt) && was.Since.After(c.Since):
			*c = was
		}
	}
	for _, was := range earlier.Claims {
		if _, ok := later.Claim(was.Path); !ok && was.Since.After(later.SeenAt) {
			later.Claims = append(later.Claims, was)
			later.Sort()
		}
	}
	return later
}

// GiveUp records that a publisher's record is gone. A block stands: nobody whose
// login was blocked is let in again because it was deleted.
func GiveUp(e *people.Evidence, p people.Publisher, at time.Time) bool {
	o := e.Find(p)
	if o == nil || o.Lifecycle == people.Gone || o.Lifecycle == people.Blocked {
		return false
	}
	o.Lifecycle, o.SeenAt = people.Gone, at
	return true
}
