package sync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"
	stdsync "sync"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/correlate"
	"example.org/cis/transforms/diff"
	"example.org/cis/transforms/merge"
	"example.org/cis/transforms/normalize"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
	"example.org/cis/transforms/snapshot"
)

// DoorOptions are what a [Door] needs.
type DoorOptions struct {
	Store sinks.Store
	// Blobs hold the snapshots, which say by which connection LDAP's people come in.
	Blobs     sinks.Blobs
	Catalogue *catalogue.Catalogue
	Salt      string
	// Sources and Protected are those of the configuration.
	Sources   []Source
	Protected []string
	// Trusted are the keys that published attributes must be signed with, and
	// Signers those that sign here. Both are asked for each publication, so that
	// a rotation needs no restart.
	Trusted func(context.Context) (sign.Keys, error)
	Signers func(context.Context) (map[people.Publisher]sign.Signer, error)
	Policy  sign.Policy
	// ReportOnly lets attributes through that the schema refuses and that can be
	// kept nevertheless: they are reported. It is for the time in which publishers
	// of older data are brought in order.
	ReportOnly bool
	Now        func() time.Time
	Random     io.Reader
}

// A Door is where publishers write by themselves, one person at a time. It is
// opened once and serves any number of goroutines.
//
// What a publisher says through it is an observation like any other: it is kept
// among the person's evidence, and the merge decides. An observation needs the
// id of a record, which the door knows of those publishers whose records go by
// user_id, the people directory and the access provider. What the others say
// (LDAP, the HRIS and GitHub have ids of their own) goes into the observation
// of their record if the person has one; else it changes the profile and nothing
// is kept of it. A record that was made up for it would be in the way of the
// real one, which the next sync wants to link, and would make its publisher the
// authority over who is here. Nothing is lost by that: a value that is there is
// changed by its updater's claims only, and an updater that is silent changes
// nothing.
//
// A claim keeps the moment of the write as its date, and the observation the
// one of its extract. So an extract that began before the write takes nothing
// back, and one that began after it does: then the source itself says something
// else.
//
// A write changes what it asks for and nothing else: what a merge would change
// besides, because a plan is held or nobody has synced since, waits for its run.
type Door struct {
	o    DoorOptions
	e    *env
	seed maphash.Seed
	// Writers of one person queue up here and need not try again and again. The
	// vault alone decides between processes. A turn is a channel with room for
	// one, so that whoever gives up does not wait on.
	turns [64]chan struct{}

	mu         stdsync.Mutex
	base       string // the snapshot from which connection is known
	connection string
}

// ofLDAP is the connection by which LDAP's people come in, "" if that is not
// known. It is looked for once a snapshot.
func (d *Door) ofLDAP(ctx context.Context, e *env) (string, error) {
	base, err := Head(ctx, e.store)
	if err != nil || base == "" {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.base == base {
		return d.connection, nil
	}
	e.Base = base
	w, err := e.world(ctx)
	if err != nil {
		return "", err
	}
	defer w.Close()
	connection, err := e.connection(ctx, w)
	if err == nil {
		d.base, d.connection = base, connection
	}
	return connection, err
}

// OpenDoor opens the door of a vault.
func OpenDoor(ctx context.Context, o DoorOptions) (*Door, error) {
	if o.Salt == "" {
		return nil, normalize.ErrNoSalt
	}
	if err := makeVaultKey(ctx, o.Store, func(b []byte) error { _, err := io.ReadFull(o.Random, b); return err }); err != nil {
		return nil, err
	}
	key, err := VaultKey(ctx, o.Store)
	if err != nil {
		return nil, err
	}
	d := &Door{o: o, seed: maphash.MakeSeed(), e: &env{Job: Job{Protected: o.Protected, Sources: o.Sources},
		store: o.Store, blobs: o.Blobs, work: o.Blobs, cat: o.Catalogue, salt: o.Salt, hash: snapshot.NewHasher(key)}}
	for i := range d.turns {
		d.turns[i] = make(chan struct{}, 1)
	}
	return d, nil
}

// A Publication is a profile, whole or partial, of one person.
type Publication struct {
	// UserID says whose it is. A former one leads to the person too, but then
	// each signature must be bound to them: the login may be somebody else's by now.
	UserID  string
	Profile *people.Profile
	// Unfit are attributes that whoever read the profile found wrong.
	Unfit []catalogue.Fault
	// By is who calls.
	By string
	// ValidateOnly judges and writes nothing.
	ValidateOnly bool
}

// What became of an attribute.
const (
	Taken     = "taken"
	Unchanged = "unchanged"
	Refused   = "refused"
)

// Why an attribute is refused.
const (
	InvalidPublisher = "invalid_publisher" // the publisher has no say in it, or another's word counts
	InvalidSignature = "invalid_signature" // it is not signed by whom it names, or for another place
	InvalidValue     = "invalid_value"     // it cannot stand there, whoever says it
	IdentitySet      = "uuid_or_primary_username_set"
	UsernameTaken    = "username_taken"
	// Outdated is a value older than what the same publisher said last, or than the
	// erasure of the person: a good signature does not let anybody bring back what
	// was replaced or taken out.
	Outdated = "outdated"
)

// A Judgement says what became of one attribute. Reason holds no value.
type Judgement struct {
	Path   people.Path
	State  string
	Code   string
	Reason string
}

// Published is what became of a publication.
type Published struct {
	// Person is zero if nobody has the user_id and nobody was made.
	Person people.ID
	// Revision is the person's, after what was written.
	Revision int64
	Created  bool
	// Written says that something was taken; with ValidateOnly, that it would be.
	Written bool
	// Attributes are those that say something, by path.
	Attributes []Judgement
	// Reported are faults that ReportOnly let through.
	Reported []catalogue.Fault
}

// publishTries is how often a publication is judged again because somebody else
// wrote the person meanwhile.
const publishTries = 10

// ErrBusy is returned when others wrote the person again and again meanwhile.
var ErrBusy = errors.New("sync: others wrote the person at the same time, again and again")

// Publish judges each attribute of a publication on its own and writes what may
// be written, at once and without a lease: it commits under the person's
// revision alone, and whoever else writes the person meanwhile makes it judge
// again. Errors are of what could not be read or written; what is refused is in
// the result.
func (d *Door) Publish(ctx context.Context, in Publication) (Published, error) {
	if err := refuseCopy(ctx, d.e.store); err != nil {
		return Published{}, err
	}
	keys, err := d.o.Trusted(ctx)
	if err != nil {
		return Published{}, err
	}
	signers, err := d.o.Signers(ctx)
	if err != nil {
		return Published{}, err
	}
	turn := d.turns[maphash.String(d.seed, in.UserID)%uint64(len(d.turns))]
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return Published{}, ctx.Err()
	}
	for try := 1; ; try++ {
		e := *d.e
		e.Clock = d.o.Now().UTC().Truncate(time.Millisecond)
		p := &publication{door: d, e: &e, keys: keys, Publication: in, records: map[people.Publisher]string{}, out: Published{}}
		again, err := p.write(ctx, signers)
		if !again || err != nil {
			return p.out, err
		}
		if try == publishTries {
			return Published{}, ErrBusy
		}
		if err := ctx.Err(); err != nil {
			return Published{}, err
		}
	}
}

// A publication is one attempt.
type publication struct {
	door *Door
	e    *env
	keys sign.Keys
	Publication
	id     people.ID
	former bool // found by a user_id that the person had formerly
	s      sinks.Stored
	erased string      // when the person was, in people.TimeFormat, "" if never
	in     merge.Input // with what is stored
	// records are the records whose observations the claims of each publisher go
	// into, "" if nothing is kept of them.
	records  map[people.Publisher]string
	accepted []people.Named
	out      Published
}

func (p *publication) creates() bool { return p.in.Stored == nil }

func (p *publication) judge(path people.Path, state, code, reason string) {
	p.out.Attributes = append(p.out.Attributes, Judgement{path, state, code, reason})
}

// refuse takes back that an attribute was accepted.
func (p *publication) refuse(path people.Path, code, reason string) {
	p.accepted = slices.DeleteFunc(p.accepted, func(n people.Named) bool { return n.Path == path })
	p.out.Attributes = slices.DeleteFunc(p.out.Attributes, func(j Judgement) bool { return j.Path == path })
	p.judge(path, Refused, code, reason)
}

// refuseAll refuses whatever was accepted.
func (p *publication) refuseAll(code, reason string) {
	for len(p.accepted) > 0 {
		p.refuse(p.accepted[0].Path, code, reason)
	}
}

// write judges and writes. It is to be done again if somebody else wrote.
func (p *publication) write(ctx context.Context, signers map[people.Publisher]sign.Signer) (again bool, err error) {
	defer func() {
		slices.SortFunc(p.out.Attributes, func(a, b Judgement) int { return strings.Compare(string(a.Path), string(b.Path)) })
	}()
	if err := p.find(ctx); err != nil {
		return false, err
	}
	if err := p.judgeAll(ctx); err != nil {
		return false, err
	}
	prop, err := p.decide(ctx)
	if err != nil || len(p.accepted) == 0 {
		return false, err
	}
	a := &application{e: p.e, plan: &Plan{}, door: "api", by: p.By, signers: signers, nameless: map[people.ID]bool{}}
	made, err := a.person(ctx, prop, p.s, new([]byte))
	if err != nil {
		return false, err
	}
	for _, n := range p.accepted {
		p.judge(n.Path, Taken, "", "")
	}
	p.out.Person, p.out.Created, p.out.Written = p.id, p.creates(), true
	if err = made.commit.Validate(); err == nil && !p.ValidateOnly {
		var results []error
		if results, err = p.e.store.Commit(ctx, sinks.Fence{}, []sinks.Commit{*made.commit}); err == nil {
			err = results[0]
		}
	}
	switch {
	case err == nil && p.ValidateOnly:
		return false, nil
	case err == nil:
		p.out.Revision = made.commit.Revision
		return false, nil
	case errors.Is(err, sinks.ErrConflict), errors.Is(err, sinks.ErrTaken):
		return true, nil // what was taken meanwhile is found taken
	case errors.Is(err, sinks.ErrTooLarge):
		p.refuseAll(InvalidValue, "the profile would be too large to be kept")
		if p.out.Created {
			p.out.Person = people.ID{}
		}
		p.out.Created, p.out.Written = false, false
		return false, nil
	}
	return false, fmt.Errorf("sync: commit %s: %w", p.id, err)
}

// find reads the person, or finds out whom a creation would make.
func (p *publication) find(ctx context.Context) error {
	e := p.e
	found, err := e.store.Lookup(ctx, []people.Key{{Scheme: people.ByUserID, Value: p.UserID}, {Scheme: people.ByFormerID, Value: p.UserID}})
	if err != nil {
		return fmt.Errorf("sync: look up a user id: %w", err)
	}
	id, username, err := normalize.ID(e.salt, p.UserID)
	switch {
	case err != nil:
		return err
	case len(found[0]) == 1:
		p.id = found[0][0]
	case len(found[1]) == 1:
		p.id, p.former = found[1][0], true
	default:
		p.id = id
	}
	if p.s, err = e.person(ctx, p.id); err != nil {
		return err
	}
	p.in = merge.Input{ID: p.id, Catalogue: e.cat, Now: e.Clock}
	if p.s.Profile == nil {
		p.in.Username = username
		return p.readErasure(ctx)
	}
	p.out.Person, p.out.Revision = p.id, p.s.Revision
	if err := e.stored(&p.in, p.s); err != nil {
		return err
	}
	p.former = p.in.Stored.Value(people.UserID).Text() != p.UserID // also of whose first user_id the uuid was made
	return nil
}

// readErasure finds out when somebody who is not there any more was erased.
func (p *publication) readErasure(ctx context.Context) error {
	if p.s.Revision == 0 {
		return nil
	}
	before := p.id // the id just before, as a listing begins after it
	for i := len(before) - 1; i >= 0; i-- {
		before[i]--
		if before[i] != 0xff {
			break
		}
	}
	stones, err := p.e.store.Tombstones(ctx, before, 1)
	if err != nil {
		return fmt.Errorf("sync: read a tombstone: %w", err)
	}
	// If it has gone meanwhile, nothing that was signed before now makes anybody.
	at := p.e.Clock
	if len(stones) == 1 && stones[0].ID == p.id {
		at = stones[0].ErasedAt
	}
	p.erased = at.UTC().Format(people.TimeFormat)
	return nil
}

const noAnchor = "nobody has that user_id, and only LDAP and the access provider make people, by a user_id that they sign"

// judgeAll judges each attribute for itself. Until its signature holds, no
// answer about an attribute depends on what is stored: whoever may call but has
// no key would learn values by guessing them.
func (p *publication) judgeAll(ctx context.Context) error {
	policy := p.door.o.Policy
	policy.RequireBinding = policy.RequireBinding || p.former && !p.creates()
	login, _ := p.Profile.Find(people.UserID)
	nobody := p.creates() && (login.Value.IsNull() || !correlate.Anchor(people.Publisher(login.Signature.Publisher.Name)))
	for _, n := range p.Profile.Attributes {
		if n.Value.IsNull() {
			continue
		}
		wrong := sign.Verify(p.keys, p.id, n.Path, n.Attribute, policy)
		if p.saysNothing(n) || p.copied(n) || wrong == nil && p.unchanged(n) {
			p.judge(n.Path, Unchanged, "", "")
			continue
		}
		if code, reason := p.fault(n, wrong, nobody); code != "" {
			p.judge(n.Path, Refused, code, reason)
			continue
		}
		p.accepted = append(p.accepted, n)
	}
	if p.creates() {
		return p.mayCreate(ctx)
	}
	for _, n := range slices.Clone(p.accepted) {
		if n.Path == people.PrimaryUsername {
			found, err := p.e.store.Lookup(ctx, []people.Key{{Scheme: people.ByUsername, Value: n.Value.Text()}})
			if err != nil {
				return fmt.Errorf("sync: look up a username: %w", err)
			}
			if slices.ContainsFunc(found[0], func(id people.ID) bool { return id != p.id }) {
				p.refuse(n.Path, UsernameTaken, "somebody else has the username")
			}
		}
	}
	return nil
}

// saysNothing reports whether an attribute is no claim, whatever is stored. The
// date of the last write follows from the write and is nobody's to say. A user_id
// that nobody signed says whom the profile is of.
func (p *publication) saysNothing(n people.Named) bool {
	return n.Path == people.LastModified || n.Path == people.UserID && n.Signature.Publisher.Value == "" && n.Value.Text() == p.UserID
}

// copied reports whether an attribute is the stored one with its signature.
// Whoever has that signature, has read the attribute.
func (p *publication) copied(n people.Named) bool {
	if p.creates() || n.Signature.Publisher.Value == "" {
		return false
	}
	stored, ok := p.in.Stored.Find(n.Path)
	return ok && stored.Signature.Publisher.Value == n.Signature.Publisher.Value && stored.SameContent(n.Attribute)
}

// unchanged reports whether an attribute whose signature holds says nothing new.
// The user_id says whom the profile is of, and where it is a former one, it does
// not bring that back.
func (p *publication) unchanged(n people.Named) bool {
	if p.creates() {
		return false
	}
	stored, ok := p.in.Stored.Find(n.Path)
	switch {
	case n.Path == people.UserID && p.former && n.Value.Text() == p.UserID:
		return true
	case n.Path == people.Active && ok:
		return stored.Value.Equal(n.Value)
	}
	return ok && stored.SameContent(n.Attribute)
}

// fault says why an attribute that says something new is refused, "" if it is
// not. Wrong is what is wrong with its signature, and nobody says that there is
// no person and that the publication cannot make one.
func (p *publication) fault(n people.Named, wrong error, nobody bool) (code, reason string) {
	cat, publisher := p.e.cat, people.Publisher(n.Signature.Publisher.Name)
	if err := cat.Fits(n.Path, n.Attribute); err != nil {
		return InvalidValue, reasonOf(err)
	}
	if attr, _ := cat.Find(n.Path); n.Metadata.Classification != attr.Classification {
		// Never only reported: it says who may see the value.
		return InvalidValue, "the classification is not " + attr.Classification
	}
	// What follows may depend on what is stored.
	if wrong != nil {
		return InvalidSignature, strings.TrimPrefix(wrong.Error(), "sign: ")
	}
	if nobody && n.Path != people.UUID && n.Path != people.PrimaryUsername {
		return InvalidPublisher, noAnchor
	}
	faults := cat.Check(&people.Profile{Attributes: []people.Named{n}})
	for _, f := range p.Unfit {
		if f.Path == n.Path {
			faults = append(faults, f)
		}
	}
	stored := cat.Null(n.Path)
	if p.creates() {
		if n.Path == people.UUID || n.Path == people.PrimaryUsername {
			return IdentitySet, "it is made here, and a new profile may not bring it"
		}
	} else if there, ok := p.in.Stored.Find(n.Path); ok {
		stored = there
	}
	if publisher == people.CIS {
		return InvalidPublisher, "cis decides by itself, and what it signed elsewhere or earlier is no claim"
	}
	if err := cat.Judge(publisher, n.Path, stored, n.Attribute); errors.Is(err, catalogue.ErrPublisher) {
		return InvalidPublisher, "the catalogue gives it to another publisher"
	} else if err != nil {
		return InvalidValue, reasonOf(err)
	}
	if n.Path == people.Active {
		if reason := p.mayEnd(publisher, n.Value.True()); reason != "" {
			return InvalidPublisher, reason
		}
	}
	for _, f := range faults {
		if !p.door.o.ReportOnly {
			return InvalidValue, f.Reason
		}
		p.out.Reported = append(p.out.Reported, f)
	}
	if n.Path == people.PrimaryUsername {
		if name, err := normalize.Username(n.Value.Text()); err != nil || name != n.Value.Text() || strings.HasPrefix(name, "r--") {
			return InvalidValue, "a username has 2 to 64 of a-z, 0-9, _ and -, and does not begin like one that is made here"
		}
	}
	if n.Path == people.UserID && n.Value.Text() != p.UserID {
		return InvalidValue, "the user_id is another one than that of the person"
	}
	if reason := p.outdated(n, stored); reason != "" {
		return Outdated, reason
	}
	return "", ""
}

// reasonOf is a fault of the catalogue without the attribute's name.
func reasonOf(err error) string {
	if f, ok := errors.AsType[catalogue.Fault](err); ok {
		return f.Reason
	}
	return "it does not fit the catalogue"
}

// outdated says why an attribute is older than what is known already, "" if it
// is not. It is compared with what its publisher said last, by whichever key,
// even if something else stands by now: that somebody else changed the display
// must not bring back what the publisher itself has replaced.
func (p *publication) outdated(n people.Named, stored people.Attribute) string {
	is, err := normalize.Timestamp(n.Metadata.LastModified)
	if p.creates() {
		if p.erased != "" && (err != nil || is <= p.erased) { // both in people.TimeFormat
			return "it is not signed after the person was erased"
		}
		return ""
	}
	newest, known, exact := "", false, false
	later := func(date string) {
		// Old data has dates that cannot be read, which say nothing.
		if at, err := normalize.Timestamp(date); err == nil && at > newest {
			newest = at
		}
	}
	publisher := people.Publisher(n.Signature.Publisher.Name)
	if stored.Signature.Publisher.Value != "" && stored.Signature.Publisher.Name == n.Signature.Publisher.Name {
		known = true
		later(stored.Metadata.LastModified)
	}
	if o := p.in.Evidence.Find(publisher); o != nil {
		if c, ok := o.Claim(n.Path); ok {
			known = true
			if c.Signed != nil {
				exact = true
				later(c.Signed.Metadata.LastModified)
			} else if !c.Since.IsZero() {
				later(c.Since.UTC().Format(people.TimeFormat))
			}
		}
	}
	for _, c := range p.in.Evidence.Cleared {
		// The mark has the time of the write, by our clock. Where the publisher's own
		// signed word about it is kept, that has its date, by the publisher's clock.
		if c.Path == n.Path && !(c.Publisher == publisher && exact) {
			later(c.At.UTC().Format(people.TimeFormat))
		}
	}
	if !known {
		later(stored.Metadata.LastModified)
	}
	switch {
	case newest == "":
		return ""
	case err != nil:
		return "it has no date that can be read, and something that has one is known"
	case is < newest: // both in people.TimeFormat
		return "something that was said later is known"
	}
	return ""
}

// mayEnd says why a publisher has no say in whether the person is here: only
// the authority over their lifecycle has, and of somebody who has none whoever
// may propose. A block of the login is honoured whoever the authority is, and
// whoever made it may undo it.
func (p *publication) mayEnd(publisher people.Publisher, here bool) string {
	owner := merge.Authority(&p.in.Evidence)
	if o := p.in.Evidence.Find(owner); owner == people.AccessProvider && o.Lifecycle == people.NotYet {
		owner = "" // it has published something, and nothing of that
	}
	switch o := p.in.Evidence.Find(publisher); {
	case owner == "" || owner == publisher:
		return ""
	case publisher == people.AccessProvider && (!here || o != nil && o.Lifecycle == people.Blocked):
		return ""
	}
	return "another publisher says whether the person is here"
}

// mayCreate refuses everything unless an anchor makes the person.
func (p *publication) mayCreate(ctx context.Context) error {
	if slices.ContainsFunc(p.Profile.Attributes, func(n people.Named) bool {
		return !n.Value.IsNull() && (n.Path == people.UUID || n.Path == people.PrimaryUsername)
	}) {
		p.refuseAll(IdentitySet, "a new profile that brings a uuid or a username is refused whole")
		return nil
	}
	creator := p.creator()
	if !correlate.Anchor(creator) {
		p.refuseAll(InvalidPublisher, noAnchor)
		return nil
	}
	if creator == people.AccessProvider {
		connection, err := p.door.ofLDAP(ctx, p.e)
		if err != nil {
			return err
		}
		if connection != "" && strings.HasPrefix(p.UserID, connection) {
			p.refuseAll(InvalidPublisher, "it is a login of LDAP, which alone can say that it is not the new one of somebody who is here")
			return nil
		}
	}
	for _, n := range slices.Clone(p.accepted) {
		if by := people.Publisher(n.Signature.Publisher.Name); n.Path == people.Active && by != creator {
			p.refuse(n.Path, InvalidPublisher, "another publisher says whether the person is here")
		}
	}
	return nil
}

// creator is who signed the accepted user_id, "" if nobody did.
func (p *publication) creator() people.Publisher {
	for _, n := range p.accepted {
		if n.Path == people.UserID {
			return people.Publisher(n.Signature.Publisher.Name)
		}
	}
	return ""
}

// decide lets the merge decide about what was accepted, and refuses of it what
// does not count.
func (p *publication) decide(ctx context.Context) (prop people.Proposal, err error) {
	if err := p.place(ctx); err != nil {
		return prop, err
	}
	for len(p.accepted) > 0 {
		kept, all, speaking := p.evidence()
		decisions, marks := p.merge(all, speaking)
		lost := false
		for _, n := range slices.Clone(p.accepted) {
			if !p.counts(n, decisions) {
				p.refuse(n.Path, InvalidPublisher, "another publisher's word counts here")
				lost = true
			}
		}
		if lost {
			if p.creates() && p.creator() == "" {
				p.refuseAll(InvalidPublisher, "the person cannot be made without a user_id")
			}
			continue
		}
		touched := map[people.Path]bool{}
		for _, d := range decisions {
			touched[d.Path] = true
		}
		kept.Cleared = slices.DeleteFunc(kept.Cleared, func(c people.Cleared) bool { return touched[c.Path] })
		for _, c := range marks {
			if touched[c.Path] {
				kept.Cleared = append(kept.Cleared, c)
			}
		}
		return people.Proposal{Person: p.id, Base: p.s.Revision, Operations: diff.Operations(decisions), Evidence: kept, Noted: true}, nil
	}
	return prop, nil
}

// place finds out whose observations the claims go into.
func (p *publication) place(ctx context.Context) error {
	for _, n := range slices.Clone(p.accepted) {
		publisher := people.Publisher(n.Signature.Publisher.Name)
		if _, done := p.records[publisher]; done {
			continue
		}
		if o := p.in.Evidence.Find(publisher); o != nil {
			p.records[publisher] = o.Record
			continue
		}
		p.records[publisher] = ""
		if publisher != people.Directory && publisher != people.AccessProvider {
			continue
		}
		record := p.UserID
		if !p.creates() {
			record = p.in.Stored.Value(people.UserID).Text()
		}
		doc, err := readLink(ctx, p.e.store, publisher, record)
		if err != nil {
			return err
		}
		if doc != nil && doc.Apart && doc.Person == p.id {
			for _, m := range slices.Clone(p.accepted) {
				if people.Publisher(m.Signature.Publisher.Name) == publisher {
					p.refuse(m.Path, InvalidPublisher, "somebody said that the publisher's record of that user_id is not this person's")
				}
			}
			continue
		}
		found, err := p.e.store.Lookup(ctx, []people.Key{{Scheme: people.ByRecord(publisher), Value: record}})
		if err != nil {
			return fmt.Errorf("sync: look up a record: %w", err)
		}
		if len(found[0]) == 0 || found[0][0] == p.id {
			p.records[publisher] = record
		}
	}
	return nil
}

// evidence is what is stored with what was accepted in it: what of it is kept,
// all of it, and all of it without those who say nothing of the person's being
// here and will not be kept.
func (p *publication) evidence() (kept, all, speaking people.Evidence) {
	kept = p.in.Evidence
	kept.Cleared = slices.Clone(kept.Cleared)
	kept.Observations = slices.Clone(kept.Observations)
	var passing []people.Observation
	creator := p.creator()
	for _, n := range p.accepted {
		publisher := people.Publisher(n.Signature.Publisher.Name)
		list, record := &kept.Observations, p.records[publisher]
		if record == "" {
			list = &passing
		}
		i := slices.IndexFunc(*list, func(o people.Observation) bool { return o.Publisher == publisher })
		if i < 0 {
			// Until it is told, it says nothing of whether the person is here.
			o := people.Observation{Publisher: publisher, Record: record, Lifecycle: people.NotYet, SeenAt: p.e.Clock}
			if record != "" {
				o.Keys = []people.Key{{Scheme: people.ByRecord(publisher), Value: record}, {Scheme: people.ByUserID, Value: record}}
			}
			if p.creates() && publisher == creator || publisher == people.Directory {
				o.Lifecycle = people.Present
			}
			i, *list = len(*list), append(*list, o)
		}
		o := &(*list)[i]
		if n.Path == people.Active {
			// The record says so from now on, until an extract that begins later says
			// something else.
			o.SeenAt = p.e.Clock
			switch {
			case n.Value.True():
				o.Lifecycle = people.Present
			case publisher == people.AccessProvider:
				o.Lifecycle = people.Blocked
			default:
				o.Lifecycle = people.Ended
			}
			continue
		}
		signed := n.Attribute
		c := people.Claim{Path: n.Path, Value: n.Value, Display: n.Metadata.Display, Unverified: !n.Metadata.Verified, Signed: &signed, Since: p.e.Clock}
		o.Claims = append(slices.DeleteFunc(slices.Clone(o.Claims), func(x people.Claim) bool { return x.Path == n.Path }), c)
		o.Sort()
	}
	order := func(list []people.Observation) []people.Observation {
		slices.SortStableFunc(list, func(a, b people.Observation) int {
			return cmp.Or(strings.Compare(string(a.Publisher), string(b.Publisher)), strings.Compare(a.Record, b.Record))
		})
		return list
	}
	kept.Observations = order(kept.Observations)
	all, speaking = kept, kept
	all.Observations = order(slices.Concat(kept.Observations, passing))
	speaking.Observations = order(slices.Concat(kept.Observations, slices.DeleteFunc(slices.Clone(passing), func(o people.Observation) bool { return o.Lifecycle == people.NotYet })))
	return kept, all, speaking
}

// merge decides by the evidence, and keeps what was asked for: of a creation
// everything.
func (p *publication) merge(all, speaking people.Evidence) ([]merge.Decision, []people.Cleared) {
	in := p.in
	in.Evidence = all
	decisions, marks := merge.Merge(in)
	if len(speaking.Observations) < len(all.Observations) {
		// Whoever will not be kept is no authority over who is here.
		in.Evidence = speaking
		others, _ := merge.Merge(in)
		here := func(d merge.Decision) bool { return d.Path == people.Active }
		decisions = slices.DeleteFunc(decisions, here)
		if i := slices.IndexFunc(others, here); i >= 0 {
			decisions = append(decisions, others[i])
		}
	}
	if !p.creates() {
		decisions = slices.DeleteFunc(decisions, func(d merge.Decision) bool {
			return !slices.ContainsFunc(p.accepted, func(n people.Named) bool { return n.Path == d.Path })
		})
	}
	return decisions, marks
}

// counts reports whether the decisions give what an attribute asks for. Of a
// composed map that is its publisher's own part.
func (p *publication) counts(n people.Named, decisions []merge.Decision) bool {
	i := slices.IndexFunc(decisions, func(d merge.Decision) bool { return d.Path == n.Path })
	if i < 0 {
		return false
	}
	d, publisher := decisions[i], people.Publisher(n.Signature.Publisher.Name)
	attr, _ := p.e.cat.Find(n.Path)
	switch {
	case n.Path == people.Active:
		return d.New.Value.Equal(n.Value)
	case attr.ComposedBy != "":
		return d.Source == publisher
	}
	return d.Source == publisher && d.New.Equal(people.ContentOf(n.Attribute))
}
