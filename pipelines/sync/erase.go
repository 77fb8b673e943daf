package sync

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/pipelines/failpoint"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/spec"
	"example.org/cis/sinks"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/sign"
	"example.org/cis/transforms/snapshot"
)

// An Order is what somebody asks of an erasure.
type Order struct {
	Person people.ID
	Door   string // by which it is asked, such as "vault erase"
	Reason string // must not name the person: it is kept
	// Force erases somebody whom a source still has.
	Force bool
}

// A Receipt says that a person was erased, without any value of theirs.
type Receipt struct {
	What   string    `json:"what"` // "erasure"
	Person people.ID `json:"person"`
	// Revision is the tombstone's: if the person comes back, they go on from it.
	Revision   int64     `json:"revision"`
	ErasedAt   time.Time `json:"erased_at"`   // by the vault's clock
	FinishedAt time.Time `json:"finished_at"` // when the last copy was gone
	Door       string    `json:"door"`
	Reason     string    `json:"reason"`
	Forced     bool      `json:"forced"`
	Stores     Stores    `json:"stores"`
	// Remains says what is left, and where copies may be that nobody here reaches.
	Remains []string `json:"remains"`
}

// Stores says what was done in each store.
type Stores struct {
	Vault string `json:"vault"` // its kind, such as "sqlite"
	// Ledger counts documents, Blobs* count blobs.
	LedgerRewritten int64 `json:"ledger_rewritten"`
	LedgerRemoved   int64 `json:"ledger_removed"`
	BlobsRewritten  int64 `json:"blobs_rewritten"`
	BlobsDeleted    int64 `json:"blobs_deleted"`
}

// remains is the same for everybody.
var remains = []string{
	"the tombstone: uuid and revision, no value",
	"keyed hashes in the tables of snapshots, until those are deleted",
	"the user_id in notifications that a subscriber has not taken yet",
	"what other people's profiles say of the person, such as who somebody's manager is",
	"backups of the vault and of the blobs, and what a store keeps for recovery, until they expire",
}

// A SignedReceipt is a receipt as its publisher signed it: JWS holds the same
// once more ([sign.Document], typ [ReceiptTyp]).
type SignedReceipt struct {
	Receipt jsontext.Value `json:"receipt"`
	JWS     string         `json:"jws"`
}

// ReceiptTyp is the typ in the header of a receipt's signature.
const ReceiptTyp = "cis-receipt"

// An Erased is what an erasure did.
type Erased struct {
	Receipt
	Signed SignedReceipt
	// Already says that all was gone before, and nothing was done.
	Already bool
	// Resumed are the runs that were finished first.
	Resumed []string
}

// erasure is what the ledger keeps of one (kind "erasure", key the uuid).
type erasure struct {
	Receipt Receipt `json:"receipt"`
	// Records are the keys of the person's records, by which what they said is
	// found in snapshots; nil once it is done.
	Records []snapshot.Short `json:"records,omitzero"`
	// Signed is set once it is done.
	Signed *SignedReceipt `json:"signed,omitzero"`
	// Earlier are receipts of the person's earlier erasures, newest first.
	Earlier []SignedReceipt `json:"earlier,omitzero"`
}

// CutOff lists those whose erasure has begun and not ended, so that something of
// them may be left in old snapshots.
func CutOff(ctx context.Context, l sinks.Ledger) (ids []people.ID, err error) {
	for d, err := range Documents(ctx, l, kindErasure) {
		if err != nil {
			return nil, err
		}
		var e erasure
		if err := json.Unmarshal(d.Body, &e); err != nil {
			return nil, fmt.Errorf("sync: erasure %s: %w", d.Key, err)
		}
		if e.Signed == nil {
			ids = append(ids, e.Receipt.Person)
		}
	}
	return ids, nil
}

// A StillThereError says which sources have the person.
type StillThereError struct{ Sources []string }

func (e *StillThereError) Error() string {
	return "sync: the person is still in " + strings.Join(e.Sources, ", ")
}

// ErrNeverThere is returned for somebody who is not in the vault and never was.
var ErrNeverThere = errors.New("sync: nobody with that uuid is or was in the vault")

// ErrNamed is returned for a reason that holds a value of the person's.
var ErrNamed = errors.New("sync: the reason names the person, and is kept after them")

// Erase takes a person out for good: out of the vault, the ledger, every
// snapshot that is kept, and what runs and sources left. It takes the lease, and
// finishes first what a dead run left, so that no plan has them any more. What
// was cut off goes on when it is called again, whatever ran in between; once all
// is gone it changes nothing and returns the receipt.
//
// The next run takes the person's rows and records out of its snapshot. Whom a
// source still has, it makes anew: so that is refused unless forced.
func Erase(ctx context.Context, j Job, o Options, order Order) (out Erased, err error) {
	j.Wall = o.Now().UTC()
	if j.Clock.IsZero() {
		j.Clock = j.Wall
	}
	j.Clock = j.Clock.UTC().Truncate(time.Millisecond)
	r := newRunner(j, o)
	open := spec.Current()
	if r.store, err = open.Store(ctx, j.Vault); err != nil {
		return out, err
	}
	defer r.store.Close()
	if r.blobs, err = open.Blobs(ctx, j.Blobs); err != nil {
		return out, err
	}
	r.work = r.blobs
	signers, err := open.Signers(ctx, j.Keys)
	if err != nil {
		return out, err
	}
	signer, ok := signers[people.CIS]
	if !ok {
		return out, fmt.Errorf("%w: the receipt is signed by %s: make a key with `cis keys new %s`", ErrKeys, people.CIS, people.CIS)
	}
	ctx, fence, end, err := HoldLease(ctx, r.store, r.o)
	if err != nil {
		return out, err
	}
	defer end()
	r.job.Fence = fence
	e := &eraser{runner: r, order: order, signer: signer, out: &out}
	return out, e.run(ctx)
}

// eraser carries one order out.
type eraser struct {
	*runner
	order  Order
	signer sign.Signer
	out    *Erased

	hash    *snapshot.Hasher
	head    string
	there   bool
	stored  sinks.Stored // of somebody who is not there, the tombstone's revision
	doc     erasure
	version int64
	texts   *regexp.Regexp // the person's values in what humans wrote; nil if there are none
}

func (e *eraser) run(ctx context.Context) (err error) {
	if err := e.read(ctx); err != nil {
		return err
	}
	if !e.there && e.doc.Signed != nil && e.doc.Receipt.Revision == e.stored.Revision {
		e.out.Receipt, e.out.Signed, e.out.Already = e.doc.Receipt, *e.doc.Signed, true
		return nil
	}
	if err := e.allowed(ctx); err != nil {
		return err
	}
	if e.out.Resumed, err = e.resume(ctx); err != nil {
		return err
	}
	if len(e.out.Resumed) > 0 { // which may have written the person
		if err := errors.Join(e.read(ctx), e.allowed(ctx)); err != nil {
			return err
		}
	}
	if err := e.begin(ctx); err != nil {
		return err
	}
	failpoint.Hit("erase.begun")
	if err := e.ledger(ctx); err != nil {
		return err
	}
	failpoint.Hit("erase.ledger")
	if err := e.vault(ctx); err != nil {
		return err
	}
	failpoint.Hit("erase.vault")
	if err := e.leftovers(ctx); err != nil {
		return err
	}
	if err := (snapshots.Erasure{Person: e.order.Person, Records: e.doc.Records, Hash: e.hash, Head: e.head}).Run(ctx, e.blobs, e.did(ctx)); err != nil {
		return err
	}
	return e.finish(ctx)
}

// read finds out what there is of the person.
func (e *eraser) read(ctx context.Context) error {
	s, err := e.store.Person(ctx, e.order.Person)
	e.there, e.stored = err == nil, s
	if err != nil && !errors.Is(err, sinks.ErrNotFound) {
		return fmt.Errorf("sync: read %s: %w", e.order.Person, err)
	}
	if !e.there && s.Revision == 0 {
		return ErrNeverThere
	}
	d, err := e.store.Doc(ctx, kindErasure, e.order.Person.String())
	switch {
	case errors.Is(err, sinks.ErrNotFound):
	case err != nil:
		return fmt.Errorf("sync: read the erasure: %w", err)
	default:
		e.doc, e.version = erasure{}, d.Version
		if err := json.Unmarshal(d.Body, &e.doc); err != nil {
			return fmt.Errorf("sync: erasure: %w", err)
		}
	}
	if e.head, err = Head(ctx, e.store); err != nil {
		return err
	}
	e.hash, err = Hasher(ctx, e.store)
	if errors.Is(err, sinks.ErrNotFound) && e.head == "" { // only imported: there are no hashes
		e.hash, err = snapshot.NewHasher(nil), nil
	}
	return err
}

// records calls yield for each record that the head snapshot has of the person.
func (e *eraser) records(ctx context.Context, yield func(source string, r snapshot.Record)) error {
	if e.head == "" {
		return nil
	}
	w, err := snapshots.Open(ctx, e.blobs, e.head)
	if err != nil {
		return err
	}
	defer w.Close()
	for _, s := range w.Manifest.Sources {
		table, err := w.Records(ctx, s.Name)
		if err != nil {
			return err
		}
		for i := range table.Len() {
			if r := table.At(i); r.Person == e.order.Person {
				yield(s.Name, r)
			}
		}
	}
	return nil
}

// allowed refuses to erase somebody whom the next run would bring back, and a
// reason that would keep what is erased.
func (e *eraser) allowed(ctx context.Context) error {
	if err := e.values(ctx); err != nil {
		return err
	}
	if e.texts != nil && e.texts.MatchString(e.order.Reason) {
		return ErrNamed
	}
	if !e.there || e.order.Force {
		return nil
	}
	var have []string
	err := e.records(ctx, func(source string, r snapshot.Record) {
		if r.State == snapshot.Present && !slices.Contains(have, source) {
			have = append(have, source)
		}
	})
	if err == nil && len(have) > 0 {
		err = &StillThereError{have}
	}
	return err
}

// values finds the person's values that humans may have written down: logins,
// names, mail addresses and ids of records.
func (e *eraser) values(ctx context.Context) error {
	e.texts = nil
	if !e.there {
		return nil
	}
	profile, err := unpackProfile(e.stored.Profile)
	if err != nil {
		return fmt.Errorf("sync: %s: %w", e.order.Person, err)
	}
	evidence, err := unpackEvidence(e.stored.Observations)
	if err != nil {
		return fmt.Errorf("sync: %s: %w", e.order.Person, err)
	}
	list := slices.Clone(evidence.Former)
	for _, path := range []people.Path{people.UserID, people.PrimaryUsername, people.PrimaryEmail, "last_name"} {
		list = append(list, profile.Value(path).Text())
	}
	for _, o := range evidence.Observations {
		list = append(list, o.Record)
		for _, k := range o.Keys {
			list = append(list, k.Value)
		}
	}
	for _, id := range slices.Clone(list) { // people write the last part of ad|Mozilla-LDAP|jdoe
		list = append(list, id[strings.LastIndexByte(id, '|')+1:])
	}
	// What is shorter says nothing, and the longest is looked for first.
	list = slices.DeleteFunc(list, func(s string) bool { return len(s) < 3 })
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	for i := range list {
		list[i] = regexp.QuoteMeta(list[i])
	}
	if len(list) > 0 {
		e.texts, err = regexp.Compile(`(?i)(^|[^\pL\pN])(` + strings.Join(list, "|") + `)($|[^\pL\pN])`)
	}
	if err != nil {
		return errors.New("sync: the person's values cannot be looked for") // its error could quote them
	}
	return nil
}

// without takes the person's values out of what a human wrote.
func (e *eraser) without(text string) string {
	if e.texts == nil {
		return text
	}
	for range 2 { // of two that one space parts, the first pass finds one
		text = e.texts.ReplaceAllString(text, "${1}[erased]${3}")
	}
	return text
}

// begin notes in the ledger what is going to be done, with all that is needed
// to go on once the vault has nothing of the person any more.
func (e *eraser) begin(ctx context.Context) error {
	if e.doc.Signed != nil { // they came back since
		e.doc = erasure{Earlier: append([]SignedReceipt{*e.doc.Signed}, e.doc.Earlier...)}
	}
	kind, _, _ := strings.Cut(e.job.Vault, ":")
	was := e.doc.Receipt
	e.doc.Receipt = Receipt{What: "erasure", Person: e.order.Person, Door: e.order.Door, Reason: e.order.Reason, Forced: e.order.Force || was.Forced,
		Revision: was.Revision, ErasedAt: was.ErasedAt, Stores: was.Stores, Remains: remains}
	e.doc.Receipt.Stores.Vault = kind
	add := func(key snapshot.Short) {
		if !slices.Contains(e.doc.Records, key) {
			e.doc.Records = append(e.doc.Records, key)
		}
	}
	if e.there {
		evidence, err := unpackEvidence(e.stored.Observations)
		if err != nil {
			return fmt.Errorf("sync: %s: %w", e.order.Person, err)
		}
		for _, o := range evidence.Observations {
			add(e.hash.Record(o.Publisher, o.Record))
		}
		links, err := Links(ctx, e.store)
		if err != nil {
			return err
		}
		for _, l := range links {
			if l.Person == e.order.Person && !l.Apart {
				add(e.hash.Record(l.Publisher, l.Record))
			}
		}
	}
	keys, err := snapshots.RecordsOf(ctx, e.blobs, e.head, e.order.Person)
	if err != nil {
		return err
	}
	for _, key := range keys {
		add(key)
	}
	return e.save(ctx)
}

func (e *eraser) save(ctx context.Context) error {
	body, err := json.Marshal(e.doc, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("sync: erasure: %w", err)
	}
	if e.version, err = e.store.Put(ctx, sinks.Doc{Kind: kindErasure, Key: e.order.Person.String(), Version: e.version, Body: body}); err != nil {
		return fmt.Errorf("sync: record the erasure: %w", err)
	}
	return nil
}

// ledger takes the person out of what humans wrote: decisions about their
// records, and reasons and errors of runs.
func (e *eraser) ledger(ctx context.Context) error {
	links, err := Links(ctx, e.store)
	if err != nil {
		return err
	}
	for _, l := range links {
		if err := e.link(ctx, l); err != nil {
			return err
		}
	}
	return EachRun(ctx, e.store, func(rec Record, d sinks.Doc) error {
		was := rec
		if rec.Reason, rec.Error = e.without(rec.Reason), e.without(rec.Error); rec.Reason == was.Reason && rec.Error == was.Error {
			return nil
		}
		return e.rewrite(ctx, d, rec)
	})
}

// link removes a decision that is about the person or a record of theirs, and
// the person from what was decided earlier about a record of somebody else.
func (e *eraser) link(ctx context.Context, l Link) error {
	d, err := e.store.Doc(ctx, kindLink, linkKey(l.Publisher, l.Record))
	if errors.Is(err, sinks.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sync: read the link: %w", err)
	}
	if l.Person == e.order.Person || slices.Contains(e.doc.Records, e.hash.Record(l.Publisher, l.Record)) {
		if err := e.store.Remove(ctx, d); err != nil {
			return fmt.Errorf("sync: remove the link: %w", err)
		}
		e.doc.Receipt.Stores.LedgerRemoved++
		return e.save(ctx)
	}
	was := len(l.Earlier)
	l.Earlier = slices.DeleteFunc(l.Earlier, func(x Link) bool { return x.Person == e.order.Person })
	changed := len(l.Earlier) < was
	for _, x := range append([]*Link{&l}, pointers(l.Earlier)...) {
		if text := e.without(x.Reason); text != x.Reason {
			x.Reason, changed = text, true
		}
	}
	if !changed {
		return nil
	}
	return e.rewrite(ctx, d, l)
}

func pointers[T any](list []T) []*T {
	out := make([]*T, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out
}

func (e *eraser) rewrite(ctx context.Context, d sinks.Doc, v any) (err error) {
	if d.Body, err = json.Marshal(v, json.Deterministic(true)); err != nil {
		return fmt.Errorf("sync: %s: %w", d.Kind, err)
	}
	if _, err := e.store.Put(ctx, d); err != nil {
		return fmt.Errorf("sync: rewrite a %s: %w", d.Kind, err)
	}
	e.doc.Receipt.Stores.LedgerRewritten++
	return e.save(ctx)
}

// vault erases the person there. Of somebody who is gone it overwrites what
// being cut off may have left.
func (e *eraser) vault(ctx context.Context) error {
	userID := ""
	if e.there {
		profile, err := unpackProfile(e.stored.Profile)
		if err != nil {
			return fmt.Errorf("sync: %s: %w", e.order.Person, err)
		}
		userID = profile.Value(people.UserID).Text()
	}
	stone, err := e.store.Erase(ctx, e.job.Fence, e.order.Person, userID)
	if err != nil {
		return fmt.Errorf("sync: erase: %w", err)
	}
	e.doc.Receipt.Revision, e.doc.Receipt.ErasedAt = stone.Revision, stone.ErasedAt
	return e.save(ctx)
}

// did counts what is done to blobs, and notes it at once: who goes on after
// this was cut off cannot see any more what was there.
func (e *eraser) did(ctx context.Context) func(string, bool) error {
	return func(_ string, deleted bool) error {
		if deleted {
			failpoint.Hit("blob.deleted")
			e.doc.Receipt.Stores.BlobsDeleted++
		} else {
			failpoint.Hit("erase.blob")
			e.doc.Receipt.Stores.BlobsRewritten++
		}
		return e.save(ctx)
	}
}

// leftovers deletes whatever runs left: no run is unfinished now, so that nobody
// needs extracts and plans any more; and what sources keep to spare their
// servers, which they read anew.
func (e *eraser) leftovers(ctx context.Context) error {
	for _, prefix := range []string{"runs/", "plans/", "sources/"} {
		names, err := e.blobs.Names(ctx, prefix)
		if err != nil {
			return fmt.Errorf("sync: list %s: %w", prefix, err)
		}
		for _, name := range names {
			if err := e.blobs.Delete(ctx, name); err != nil {
				return fmt.Errorf("sync: delete %s: %w", name, err)
			}
			if err := e.did(ctx)(name, true); err != nil {
				return err
			}
		}
	}
	// What a killed process left half written goes when the next blob is begun.
	w, err := e.blobs.Create(ctx, "runs/none")
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return fmt.Errorf("sync: look for what was left half written: %w", err)
	}
	return nil
}

// finish signs the receipt and keeps it.
func (e *eraser) finish(ctx context.Context) error {
	e.doc.Receipt.FinishedAt, e.doc.Records = e.o.Now().UTC(), nil
	body, err := json.Marshal(e.doc.Receipt, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("sync: receipt: %w", err)
	}
	jws, err := sign.Document(ctx, e.signer, ReceiptTyp, body)
	if err != nil {
		return fmt.Errorf("sync: receipt: %w", err)
	}
	e.doc.Signed = &SignedReceipt{Receipt: body, JWS: jws}
	if err := e.save(ctx); err != nil {
		return err
	}
	failpoint.Hit("erase.receipt")
	e.out.Receipt, e.out.Signed = e.doc.Receipt, *e.doc.Signed
	return nil
}
