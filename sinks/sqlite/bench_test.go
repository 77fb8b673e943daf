//go:build unix

package sqlite_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"example.org/cis/sinks"
	"example.org/cis/sinks/sqlite"
	"example.org/cis/transforms/people"
)

// written returns the commits of n people as a first load writes them, with
// packed profiles of 12 KB.
func written(n int, expect int64) []sinks.Commit {
	random := rand.NewChaCha8([32]byte{byte(expect)})
	doc := func(n int) []byte {
		b := make([]byte, n)
		random.Read(b)
		return b
	}
	commits := make([]sinks.Commit, n)
	for i := range commits {
		sum := sha256.Sum256(fmt.Append(nil, i))
		commits[i] = sinks.Commit{
			ID: people.ID(sum[:16]), Expect: expect, Revision: expect + 1,
			Profile: doc(12 << 10), Observations: doc(2 << 10), History: doc(2 << 10),
			Keys: sinks.Keys{Unique: []people.Key{{Scheme: people.ByUserID, Value: fmt.Sprintf("ad|Example-LDAP|user%d", i)}, {Scheme: people.ByUsername, Value: fmt.Sprintf("r--%x", sum[:16])}},
				Records: []people.Key{{Scheme: "record:ldap", Value: fmt.Sprintf("%x", sum[16:])}},
				Lookups: []people.Key{{Scheme: people.ByEmail, Value: fmt.Sprintf("user%d@example.com", i)}, {Scheme: people.ByEmail, Value: fmt.Sprintf("u%d@mail.example.com", i)}, {Scheme: people.ByPosixID, Value: fmt.Sprintf("user%d", i)}},
				Facts:   facts(i), Active: true},
		}
	}
	return commits
}

// facts are those of somebody in a dozen groups.
func facts(i int) (keys []people.Key) {
	for j := range 12 {
		keys = append(keys, people.Key{Scheme: "access_information.ldap", Value: fmt.Sprint("group ", (i+j*j)%500)})
	}
	return append(keys, people.Key{Scheme: "staff_information.team", Value: fmt.Sprint("team ", i%40)})
}

func openBench(b *testing.B) *sqlite.Store {
	s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "cis.db"), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// cpu returns the process's CPU time.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// perPerson runs f and reports wall and CPU time a person.
func perPerson(b *testing.B, people int, f func()) {
	before := cpu()
	b.ResetTimer()
	f()
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(people), "us/person")
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(people), "cpu-us/person")
	b.ReportMetric(0, "ns/op")
}

const crowd = 10_000

func commitAll(b *testing.B, s *sqlite.Store, commits []sinks.Commit) {
	for ; len(commits) > 0; commits = commits[min(100, len(commits)):] {
		results, err := s.Commit(b.Context(), sinks.Fence{}, commits[:min(100, len(commits))])
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range results {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkCommit writes new people, 100 a call.
func BenchmarkCommit(b *testing.B) {
	for range b.N {
		s, commits := openBench(b), written(crowd, 0)
		perPerson(b, crowd*b.N, func() { commitAll(b, s, commits) })
	}
}

// BenchmarkUpdate writes new profiles of people who are there, 100 a call.
func BenchmarkUpdate(b *testing.B) {
	for range b.N {
		s := openBench(b)
		if err := s.Load(b.Context(), sinks.Fence{}, written(crowd, 0)); err != nil {
			b.Fatal(err)
		}
		commits := written(crowd, 1)
		perPerson(b, crowd*b.N, func() { commitAll(b, s, commits) })
	}
}

// BenchmarkLoad loads people into an empty vault, all in one call.
func BenchmarkLoad(b *testing.B) {
	for range b.N {
		s, commits := openBench(b), written(crowd, 0)
		perPerson(b, crowd*b.N, func() {
			if err := s.Load(b.Context(), sinks.Fence{}, commits); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkRead reads from a full vault what a run that changes nothing and
// one that changes everything ask for.
func BenchmarkRead(b *testing.B) {
	s, commits := openBench(b), written(crowd, 0)
	if err := s.Load(b.Context(), sinks.Fence{}, commits); err != nil {
		b.Fatal(err)
	}
	ids, keys := make([]people.ID, crowd), make([]people.Key, 0, 2*crowd)
	for i, c := range commits {
		ids[i] = c.ID
		keys = append(keys, c.Unique[0], c.Lookups[0])
	}
	for _, read := range []struct {
		name string
		f    func() error
	}{
		{"People", func() error { _, err := s.People(b.Context(), ids); return err }},
		{"Lookup", func() error { _, err := s.Lookup(b.Context(), keys); return err }},
		{"List", func() error { _, err := s.List(b.Context(), people.ID{}, crowd); return err }},
		{"Moved", func() error {
			return s.Moved(b.Context(), time.Time{}, func(sinks.Head) error { return nil })
		}},
		{"Count", func() error { _, err := s.Count(b.Context()); return err }},
	} {
		b.Run(read.name, func(b *testing.B) {
			perPerson(b, crowd*b.N, func() {
				for range b.N {
					if err := read.f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkBeside writes one person again and again while another process
// (here: another connection) writes a crowd, and reports how long each waited.
func BenchmarkBeside(b *testing.B) {
	path := filepath.Join(b.TempDir(), "cis.db")
	var stores [2]*sqlite.Store
	for i := range stores {
		s, err := sqlite.Open(b.Context(), path, sqlite.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		stores[i] = s
	}
	var waits []time.Duration
	for round := range b.N {
		everybody := written(crowd+1, int64(round))
		one := everybody[crowd:]
		one[0].Expect, one[0].Revision = int64(len(waits)), int64(len(waits)+1)
		done := make(chan error)
		go func() {
			_, err := stores[0].Commit(b.Context(), sinks.Fence{}, everybody[:crowd])
			done <- err
		}()
		for writing := true; writing; {
			begun := time.Now()
			commitAll(b, stores[1], one)
			waits = append(waits, time.Since(begun))
			one[0].Expect, one[0].Revision = one[0].Expect+1, one[0].Revision+1
			select {
			case err := <-done:
				if err != nil {
					b.Fatal(err)
				}
				writing = false
			default:
			}
		}
	}
	slices.Sort(waits)
	b.ReportMetric(float64(len(waits)), "writes")
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "ms-p99")
	b.ReportMetric(float64(waits[len(waits)-1].Microseconds())/1000, "ms-max")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkSearch reads a page, or all pages, from a full vault.
func BenchmarkSearch(b *testing.B) {
	s, commits := openBench(b), written(crowd, 0)
	if err := s.Load(b.Context(), sinks.Fence{}, commits); err != nil {
		b.Fatal(err)
	}
	for _, q := range []struct {
		name string
		q    sinks.Query
	}{
		{"None", sinks.Query{Fact: people.Key{Scheme: "access_information.ldap", Value: "nobody"}, Limit: 25}},
		{"Fact", sinks.Query{Fact: commits[0].Facts[0], Limit: 25}},
		{"Login", sinks.Query{Login: "ad|Example-LDAP|user77", Limit: 25}},
		{"All", sinks.Query{Limit: 100}},
	} {
		b.Run(q.name, func(b *testing.B) {
			perPerson(b, crowd*b.N, func() {
				for range b.N {
					for q := q.q; ; {
						page, err := s.Search(b.Context(), q)
						if err != nil {
							b.Fatal(err)
						}
						if q.After = page.Next; page.Next == "" {
							break
						}
					}
				}
			})
		})
	}
}

// BenchmarkErase erases people one by one from a vault that was written to in
// no order. The first one overwrites what page splits have left of everybody.
func BenchmarkErase(b *testing.B) {
	s, commits := openBench(b), written(crowd, 0)
	commitAll(b, s, commits)
	for b.Loop() {
		c := &commits[0]
		commits = commits[1:]
		if _, err := s.Erase(b.Context(), sinks.Fence{}, c.ID, ""); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAudit reads a full vault.
func BenchmarkAudit(b *testing.B) {
	s, commits := openBench(b), written(crowd, 0)
	for i := range commits {
		c := &commits[i]
		c.Profile, c.Observations, c.History = sinks.Pack(c.Profile), sinks.Pack(c.Observations), sinks.Pack(c.History)
	}
	if err := s.Load(b.Context(), sinks.Fence{}, commits); err != nil {
		b.Fatal(err)
	}
	keys := make(map[people.ID]sinks.Keys)
	for _, c := range commits {
		keys[c.ID] = c.Keys
	}
	perPerson(b, crowd*b.N, func() {
		for range b.N {
			err := s.Audit(b.Context(), func(p sinks.Stored) (sinks.Keys, error) { return keys[p.ID], nil }, func(f sinks.Fault) error {
				b.Errorf("%v", f)
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
