//go:build unix

package main

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	stdsync "sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/cis/connectors/synth"
	"example.org/cis/pipelines/failpoint"
	"example.org/cis/sinks"
	"example.org/cis/sinks/sqlite"
)

// TestCrash proves the promise of a run: killed at any instant, and simply
// run again, it leaves what a run leaves that nobody killed, in the vault, in
// the outbox, in the history and in what the next day starts from.
//
// CIS_CRASH_TRIALS is how many kills at random there are (default 40, and 200
// if CIS_TEST_SLOW is set); with 200 or more, the other trials are many more as
// well. CIS_CRASH_SEED repeats the random choices of a failure, as far as a
// clock lets them be repeated.
func TestCrash(t *testing.T) {
	trials, seed := 40, uint64(time.Now().UnixNano())
	if os.Getenv("CIS_TEST_SLOW") != "" {
		trials = 200
	}
	var err error
	if v := os.Getenv("CIS_CRASH_TRIALS"); v != "" {
		if trials, err = strconv.Atoi(v); err != nil {
			t.Fatalf("CIS_CRASH_TRIALS: %v", err)
		}
	}
	if v := os.Getenv("CIS_CRASH_SEED"); v != "" {
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatalf("CIS_CRASH_SEED: %v", err)
		}
	}
	t.Logf("CIS_CRASH_TRIALS=%d CIS_CRASH_SEED=%d", trials, seed)
	l := newLab(t, seed)
	if testing.Short() {
		l.prepareFew(t)
		for _, place := range []string{"run.recorded", "apply.committed", "snapshot.head"} {
			l.trial(t, place, func(t *testing.T, _ *rand.Rand) {
				d := l.days[0]
				dir := copyFolder(t, d.folder)
				l.run(t, place, in(dir, d.sync...), killed)
				l.finish(t, d, dir)
			})
		}
		return
	}
	l.prepare(t)
	often := trials >= 200
	t.Run("at each place", func(t *testing.T) { l.atEachPlace(t, often) })
	t.Run("in many parts", func(t *testing.T) { l.inManyParts(t, often) })
	t.Run("twice", func(t *testing.T) { l.twice(t, often) })
	t.Run("at random", func(t *testing.T) { l.atRandom(t, trials) })
	t.Run("interrupted", func(t *testing.T) { l.interrupted(t, max(2, trials/8)) })
	t.Run("while another waits", func(t *testing.T) { l.whileAnotherWaits(t, max(1, trials/20)) })
	t.Run("refreshed", func(t *testing.T) { l.refreshes(t, max(4, trials/4)) })
	t.Run("two at once", func(t *testing.T) { l.twoAtOnce(t, max(1, trials/10)) })
}

// trial runs one trial beside at most one other, with random choices that
// depend on the seed and the name alone.
func (l *lab) trial(t *testing.T, name string, do func(t *testing.T, random *rand.Rand)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		l.slots <- struct{}{}
		defer func() { <-l.slots }()
		h := fnv.New64()
		h.Write([]byte(t.Name()))
		do(t, rand.New(rand.NewPCG(l.seed, h.Sum64())))
		if t.Failed() {
			t.Logf("CIS_CRASH_SEED=%d", l.seed)
		}
	})
}

// runPlaces are the places that a run passes.
func runPlaces() []string {
	return slices.DeleteFunc(failpoint.Names(), func(place string) bool {
		return strings.HasPrefix(place, "refresh.") || strings.HasPrefix(place, "copy.")
	})
}

// atEachPlace kills at the failpoints, at the first passage and at later ones.
func (l *lab) atEachPlace(t *testing.T, often bool) {
	days, most := []*crashDay{l.day(t, "first load"), l.day(t, "held ends, chained uids")}, 2
	if often {
		days, most = l.days, 20
	}
	var passed stdsync.Map
	places := runPlaces()
	t.Run("of", func(t *testing.T) {
		for _, d := range days {
			for _, place := range places {
				l.trial(t, d.name+"/"+place, func(t *testing.T, _ *rand.Rand) {
					for n := 1; n <= most; n++ {
						dir := copyFolder(t, d.folder)
						if l.run(t, fmt.Sprintf("%s:%d", place, n), in(dir, d.sync...), killed, d.code).ProcessState.Exited() {
							return // it is not passed so often
						}
						passed.Store(place, true)
						l.finish(t, d, dir)
					}
				})
			}
		}
	})
	for _, place := range places {
		if _, ok := passed.Load(place); !ok && !t.Failed() {
			t.Errorf("no run passed %s", place)
		}
	}
}

// inManyParts kills a first load whose plan has parts, in and between them.
func (l *lab) inManyParts(t *testing.T, often bool) {
	const n = 1050 // one part is 1,000
	dir := filepath.Join(t.TempDir(), "company")
	l.run(t, "", []string{"synth", dir, "--people", fmt.Sprint(n)}, 0)
	many := &lab{program: l.program, slots: l.slots, seed: l.seed}
	many.add(t, &crashDay{name: "many", folder: dir, sync: firstLoad(), next: synthDay(t, n, 1), tomorrow: at(1)})
	d := many.days[0]
	places := []string{"apply.part:1"}
	if often {
		places = append(places, "plan.part:2", "apply.committed:5", "apply.commit:9", "apply.committed:17", "apply.part:2")
	}
	for _, place := range places {
		l.trial(t, place, func(t *testing.T, _ *rand.Rand) {
			dir := copyFolder(t, d.folder)
			l.run(t, place, in(dir, d.sync...), killed)
			l.finish(t, d, dir)
		})
	}
}

// twice kills a run, and the one that finishes it as well.
func (l *lab) twice(t *testing.T, often bool) {
	d, every := l.day(t, "held ends, chained uids"), 36
	if often {
		every = 2
	}
	for i, first := range runPlaces() {
		for k, second := range runPlaces() {
			if (5*i+7*k)%every != 0 {
				continue
			}
			l.trial(t, first+", "+second, func(t *testing.T, _ *rand.Rand) {
				dir := copyFolder(t, d.folder)
				l.run(t, first, in(dir, d.sync...), killed)
				l.run(t, second, in(dir, d.sync...), killed, d.code)
				l.finish(t, d, dir)
			})
		}
	}
}

// atRandom kills up to three runs in a row at any time.
func (l *lab) atRandom(t *testing.T, trials int) {
	for i := range trials {
		d := l.days[i%len(l.days)]
		l.trial(t, fmt.Sprintf("%s/%d", d.name, i), func(t *testing.T, random *rand.Rand) {
			dir := copyFolder(t, d.folder)
			for range 1 + random.IntN(3) {
				after := upTo(random, d.took)
				p := l.start(t, "", in(dir, d.sync...)...)
				time.AfterFunc(after, func() { p.Process.Kill() })
				p.waitFor(t, killed, d.code)
				t.Logf("killed after %v", after)
			}
			l.finish(t, d, dir)
		})
	}
}

// refreshes kills refreshes of people, new ones among them, at each of their
// places and at any time. Done again and followed by the day's run, they leave
// what refreshes leave that nobody killed, and the person is told of once.
func (l *lab) refreshes(t *testing.T, trials int) {
	noon := time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC).Format(time.RFC3339)
	only := func(who string) []string { return []string{"sync", "--json", "--only", who, "--now", noon} }
	// Whoever has a login in the sources and is not there yet, and some others.
	var who []string
	var logins []string
	accounts, err := os.ReadFile(filepath.Join(l.refreshed, synth.AccountsFile))
	check(t, err)
	for line := range bytes.Lines(accounts) {
		var user struct {
			ID string `json:"user_id"`
		}
		if json.Unmarshal(line, &user) == nil && user.ID != "" {
			logins = append(logins, user.ID)
		}
	}
	for _, login := range logins {
		if code := l.start(t, "", in(l.refreshed, "person", "get", login)...).wait(t); code != exitDone {
			who = append(who, login)
		}
	}
	if len(who) == 0 {
		t.Fatal("nobody is new")
	}
	who = append(who, "sndiaye", "rdellacqua", "hsato", "iguell")
	type left struct {
		code          int
		dump, nextDay []byte
		evening       world
	}
	want := map[string]left{}
	end := func(t *testing.T, dir, who string, codes ...int) left {
		var end left
		end.code = l.run(t, "", in(dir, only(who)...), codes...).ProcessState.ExitCode()
		end.dump = l.run(t, "", in(dir, "dump"), 0).out.Bytes()
		l.run(t, "", in(dir, at(5)...), 0, 3)
		l.run(t, "", in(dir, "verify", "--all"), 0)
		end.nextDay = l.run(t, "", in(dir, "dump"), 0).out.Bytes()
		end.evening = look(t, dir)
		return end
	}
	for _, w := range who {
		want[w] = end(t, copyFolder(t, l.refreshed), w, 0, 3)
	}
	finish := func(t *testing.T, dir, who string) {
		w := want[who]
		got := end(t, dir, who, w.code)
		if !bytes.Equal(got.dump, w.dump) {
			t.Errorf("the dump differs from that of a refresh that was not killed")
		}
		if !bytes.Equal(got.nextDay, w.nextDay) {
			t.Errorf("after the day's run, the dump differs from that after a refresh that was not killed")
		}
		w.evening.compare(t, got.evening)
	}
	for _, place := range []string{"refresh.commit", "refresh.committed"} {
		l.trial(t, place, func(t *testing.T, _ *rand.Rand) {
			dir := copyFolder(t, l.refreshed)
			l.run(t, place, in(dir, only(who[0])...), killed)
			finish(t, dir, who[0])
		})
	}
	for i := range trials {
		w := who[i%len(who)]
		l.trial(t, fmt.Sprintf("%s %d", w, i), func(t *testing.T, random *rand.Rand) {
			dir := copyFolder(t, l.refreshed)
			p := l.start(t, "", in(dir, only(w)...)...)
			time.AfterFunc(upTo(random, 300*time.Millisecond), func() { p.Process.Kill() })
			p.waitFor(t, killed, want[w].code)
			finish(t, dir, w)
		})
	}
}

// interrupted ends runs politely: they say so, and leave at once.
func (l *lab) interrupted(t *testing.T, trials int) {
	for i := range trials {
		d, sig := l.days[i%len(l.days)], []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}[i%2]
		l.trial(t, fmt.Sprintf("%s/%s %d", d.name, sig, i), func(t *testing.T, random *rand.Rand) {
			dir := copyFolder(t, d.folder)
			p := l.start(t, "", in(dir, d.sync...)...)
			p.reach(dir)
			after := upTo(random, d.took/2)
			timer := time.AfterFunc(after, func() { p.Process.Signal(sig) })
			defer timer.Stop()
			switch code := p.wait(t); {
			case code == exitFailed && p.complaint.String() == "cis: interrupted\n":
				s := openLedger(t, dir)
				if docs, err := s.Docs(t.Context(), "holder", "", 10); err != nil || len(docs) != 0 {
					t.Errorf("the lease was not given back: %v, %v", docs, err)
				}
				check(t, s.Close())
			case code != d.code:
				t.Fatalf("interrupted after %v, it ended with %d: %s", after, code, p.complaint.String())
			}
			l.finish(t, d, dir)
		})
	}
}

// reach waits until the run has begun to work, or has ended.
func (p *process) reach(dir string) {
	for {
		if begun, err := os.ReadDir(filepath.Join(dir, "cis-blobs", "runs")); err == nil && len(begun) > 0 {
			return
		}
		select {
		case <-p.ended:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func openLedger(t *testing.T, dir string) sinks.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "cis.db"), sqlite.Options{ReadOnly: true})
	check(t, err)
	return s
}

// whileAnotherWaits stops a run in its work, lets another wait for it, and
// ends either.
func (l *lab) whileAnotherWaits(t *testing.T, trials int) {
	for i := range trials {
		d := l.days[(i+len(l.days)-1)%len(l.days)]
		l.trial(t, fmt.Sprintf("%s/the one that works is killed %d", d.name, i), func(t *testing.T, random *rand.Rand) {
			dir := copyFolder(t, d.folder)
			works, waits := l.meet(t, d, dir, random)
			works.signal(t, syscall.SIGKILL)
			works.waitFor(t, killed, d.code)
			waits.waitFor(t, d.code)
			l.finish(t, d, dir)
		})
		for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
			l.trial(t, fmt.Sprintf("%s/the one that waits is %s %d", d.name, sig, i), func(t *testing.T, random *rand.Rand) {
				dir := copyFolder(t, d.folder)
				works, waits := l.meet(t, d, dir, random)
				waits.signal(t, sig)
				waits.waitFor(t, exitFailed, -int(sig), d.code)
				works.signal(t, syscall.SIGCONT)
				works.waitFor(t, d.code)
				l.finish(t, d, dir)
			})
		}
	}
}

// meet stops a run in its work and starts another, which waits: for the
// lease, or, if the first was stopped in the midst of a transaction, for that.
// If the first had ended before it was stopped, the other one need not wait.
func (l *lab) meet(t *testing.T, d *crashDay, dir string, random *rand.Rand) (works, waits *process) {
	t.Helper()
	works = l.start(t, "", in(dir, d.sync...)...)
	works.reach(dir)
	time.Sleep(upTo(random, d.took/2))
	works.signal(t, syscall.SIGSTOP)
	waits = l.start(t, "", in(dir, d.sync...)...)
	s := openLedger(t, dir)
	defer s.Close()
	for began := time.Now(); time.Since(began) < time.Second; time.Sleep(5 * time.Millisecond) {
		docs, err := s.Docs(t.Context(), "holder", "", 10)
		check(t, err)
		if len(docs) == 2 {
			break
		}
	}
	return works, waits
}

// twoAtOnce starts two runs together, and kills one of every other two.
func (l *lab) twoAtOnce(t *testing.T, trials int) {
	for i := range trials {
		d := l.days[i%len(l.days)]
		l.trial(t, fmt.Sprintf("%s/%d", d.name, i), func(t *testing.T, random *rand.Rand) {
			dir := copyFolder(t, d.folder)
			both := []*process{l.start(t, "", in(dir, d.sync...)...), l.start(t, "", in(dir, d.sync...)...)}
			want := []int{d.code}
			if (i+i/len(l.days))%2 == 1 {
				time.AfterFunc(upTo(random, 2*d.took), func() { both[0].Process.Kill() })
				want = append(want, killed)
			}
			for _, p := range both {
				p.waitFor(t, want...)
			}
			l.finish(t, d, dir)
		})
	}
}

func upTo(random *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(d)))
}
