package firestore_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	client "cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"example.org/cis/sinks"
	"example.org/cis/sinks/firestore"
	"example.org/cis/sinks/firestore/emulator"
	"example.org/cis/sinks/sqlite"
	"example.org/cis/transforms/people"
)

// crowd is how many people are written in one round, each with seven documents.
const crowd = 300

// written returns the commits of a crowd as a first load writes them, with
// profiles of the size that RS256 gives them.
func written(round int, expect int64) []sinks.Commit {
	random := rand.NewChaCha8([32]byte{byte(round), byte(expect)})
	doc := func(n int) []byte {
		b := make([]byte, n)
		random.Read(b)
		return b
	}
	commits := make([]sinks.Commit, crowd)
	for i := range commits {
		sum := sha256.Sum256(fmt.Append(nil, round, " ", i))
		text := fmt.Sprintf("%d-%d", round, i)
		keys := sinks.Keys{
			Unique:  []people.Key{{Scheme: people.ByUserID, Value: "ad|Example-LDAP|" + text}, {Scheme: people.ByUsername, Value: text}},
			Records: []people.Key{{Scheme: "record:ldap", Value: text}, {Scheme: "record:hris", Value: text}},
			Lookups: []people.Key{{Scheme: people.ByEmail, Value: text + "@example.com"}, {Scheme: people.ByPosixID, Value: text}},
			Active:  true,
		}
		for j := range 12 {
			keys.Facts = append(keys.Facts, people.Key{Scheme: "access_information.ldap", Value: fmt.Sprint("group ", (i+j*j)%500)})
		}
		commits[i] = sinks.Commit{ID: people.ID(sum[:16]), Expect: expect, Revision: expect + 1, Profile: doc(12 << 10), Observations: doc(2 << 10), History: doc(2 << 10), Keys: keys}
	}
	return commits
}

// bare writes the same documents with the same reads, transactions and
// concurrency, by the client alone.
func bare(ctx context.Context, c *client.Client, commits []sinks.Commit) error {
	hash := func(k people.Key) string {
		sum := sha256.Sum256([]byte(string(k.Scheme) + "\x00" + k.Value))
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for _, k := range commits {
		group.Go(func() error {
			person := c.Collection("people").Doc(k.ID.String())
			refs := []*client.DocumentRef{person}
			var unique, records []string
			claims := map[*client.DocumentRef]string{}
			for i, list := range [][]people.Key{k.Unique, k.Records} {
				for _, key := range list {
					ref := c.Collection("claims").Doc(hash(key))
					claims[ref] = string(key.Scheme)
					if k.Expect == 0 {
						refs = append(refs, ref)
					}
					if i == 0 {
						unique = append(unique, ref.ID)
					} else {
						records = append(records, ref.ID)
					}
				}
			}
			var lookups, facts [][]byte
			for _, key := range k.Lookups {
				h := sinks.KeyHash(key)
				lookups = append(lookups, h[:])
			}
			for _, key := range k.Facts {
				h := sinks.KeyHash(key)
				facts = append(facts, h[:])
			}
			return c.RunTransaction(ctx, func(_ context.Context, t *client.Transaction) error {
				if _, err := t.GetAll(refs); err != nil {
					return err
				}
				if err := t.Set(person, map[string]any{"revision": k.Revision, "moved": time.Now(), "shard": int(k.ID[0]) % 16, "profile": k.Profile, "observed": k.Observations[:16], "active": true,
					"login": []byte(k.UserID()), "unique": unique, "records": records, "lookups": lookups, "facts": facts}); err != nil {
					return err
				}
				if err := t.Set(c.Collection("observations").Doc(k.ID.String()), map[string]any{"doc": k.Observations}); err != nil {
					return err
				}
				if err := t.Set(person.Collection("history").Doc(fmt.Sprintf("%019d", k.Revision)), map[string]any{"doc": k.History, "token": k.History[:12]}); err != nil {
					return err
				}
				if k.Expect > 0 {
					return nil
				}
				for ref, scheme := range claims {
					if err := t.Set(ref, map[string]any{"person": k.ID[:], "scheme": scheme}); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	return group.Wait()
}

const writers = 32

func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A took is what rounds of one way of writing took.
type took struct{ wall, cpu []time.Duration }

func (t *took) round(b *testing.B, f func() error) {
	begun, used := time.Now(), cpu()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	t.wall, t.cpu = append(t.wall, time.Since(begun)), append(t.cpu, cpu()-used)
}

func median(d []time.Duration) float64 {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2].Seconds()
}

// BenchmarkBeside writes and reads crowds by turns: the vault in Firestore, the
// bare client with the same documents, and the vault in SQLite. All figures
// are medians of the rounds; run it with -benchtime 9x.
func BenchmarkBeside(b *testing.B) {
	ctx, e := b.Context(), emulator.Start(b)
	s := open(b, e.Project(b), firestore.Options{})
	other, err := client.NewClient(ctx, e.Project(b), e.Options()...)
	if err != nil {
		b.Fatal(err)
	}
	defer other.Close()
	local, err := sqlite.Open(ctx, filepath.Join(b.TempDir(), "cis.db"), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer local.Close()
	commit := func(s sinks.Vault, commits []sinks.Commit) error {
		results, err := s.Commit(ctx, sinks.Fence{}, commits)
		if err == nil && slices.ContainsFunc(results, func(err error) bool { return err != nil }) {
			err = errors.New("somebody was refused")
		}
		return err
	}
	rounds := map[string]int{} // a benchmark begins with one round, and then begins anew
	for _, what := range []string{"create", "update"} {
		expect := int64(0)
		if what == "update" {
			expect = 1
		}
		b.Run(what, func(b *testing.B) {
			var vault, client, file took
			before := s.Usage()
			for range b.N {
				round := rounds[what]
				rounds[what]++
				commits := written(round, expect)
				first, second := func() { vault.round(b, func() error { return commit(s, commits) }) }, func() { client.round(b, func() error { return bare(ctx, other, commits) }) }
				if round%2 == 1 {
					first, second = second, first
				}
				first()
				second()
				file.round(b, func() error { return commit(local, commits) })
			}
			used := s.Usage()
			n := float64(crowd * b.N)
			b.ReportMetric(float64(used.Writes-before.Writes)/n, "writes/person")
			b.ReportMetric(float64(used.Reads-before.Reads)/n, "reads/person")
			b.ReportMetric(float64(used.Writes-before.Writes)/n*crowd/median(vault.wall), "docs/s")
			b.ReportMetric(median(vault.wall)/median(client.wall), "wall/bare")
			b.ReportMetric(median(vault.cpu)/median(client.cpu), "cpu/bare")
			b.ReportMetric(median(vault.wall)/median(file.wall), "wall/sqlite")
			b.ReportMetric(1e6*median(vault.cpu)/crowd, "cpu-us/person")
			b.ReportMetric(0, "ns/op")
		})
	}
	b.Run("load", func(b *testing.B) {
		var vault, file took
		var docs int64
		for round := range b.N {
			commits := written(1000+round, 0)
			s := open(b, e.Project(b), firestore.Options{})
			vault.round(b, func() error { return s.Load(ctx, sinks.Fence{}, commits) })
			docs = s.Usage().Writes
			local, err := sqlite.Open(ctx, filepath.Join(b.TempDir(), fmt.Sprint(round, ".db")), sqlite.Options{})
			if err != nil {
				b.Fatal(err)
			}
			file.round(b, func() error { return local.Load(ctx, sinks.Fence{}, commits) })
			local.Close()
		}
		b.ReportMetric(float64(docs)/median(vault.wall), "docs/s")
		b.ReportMetric(median(vault.wall)/median(file.wall), "wall/sqlite")
		b.ReportMetric(0, "ns/op")
	})
	ids := make([]people.ID, crowd)
	keys := make([]people.Key, crowd)
	for i, c := range written(0, 0) {
		ids[i], keys[i] = c.ID, c.Unique[0]
	}
	for _, read := range []struct {
		name string
		f    func(s sinks.Vault) error
	}{
		{"People", func(s sinks.Vault) error { _, err := s.People(ctx, ids); return err }},
		{"Lookup", func(s sinks.Vault) error { _, err := s.Lookup(ctx, keys); return err }},
		{"List", func(s sinks.Vault) error { _, err := s.List(ctx, people.ID{}, crowd); return err }},
	} {
		b.Run(read.name, func(b *testing.B) {
			var vault, file took
			before := s.Usage()
			for range b.N {
				vault.round(b, func() error { return read.f(s) })
				file.round(b, func() error { return read.f(local) })
			}
			b.ReportMetric(float64(s.Usage().Reads-before.Reads)/float64(b.N*crowd), "reads/person")
			b.ReportMetric(float64(s.Usage().Reads-before.Reads)/float64(b.N)/median(vault.wall), "docs/s")
			b.ReportMetric(median(vault.wall)/median(file.wall), "wall/sqlite")
			b.ReportMetric(0, "ns/op")
		})
	}
}
