//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/connectors/synth"
	"example.org/cis/pipelines/snapshots"
	"example.org/cis/pipelines/sync"
	"example.org/cis/sinks"
	"example.org/cis/sinks/blobdir"
	"example.org/cis/sinks/sqlite"
	"example.org/cis/transforms/people"
	"example.org/cis/transforms/snapshot"
)

// patience is how long one process may take. A lease that is not taken over
// at once costs a minute, which is beyond it.
const patience = 30 * time.Second

// A lab has the program, built the ordinary way, and days to kill it on.
type lab struct {
	program string
	days    []*crashDay
	slots   chan struct{} // for the trials that run at once
	seed    uint64
	// refreshed is a vault with the sources of the day after, in which people
	// are refreshed one by one.
	refreshed string
}

// A crashDay is a run that is going to be killed and the one of the next day,
// with what they leave if nobody does.
type crashDay struct {
	name     string
	folder   string   // the vault as the day before left it, and the day's sources
	sync     []string // the command
	next     map[string][]byte
	tomorrow []string

	code     int // with which the command ends
	took     time.Duration
	dump     []byte
	evening  world
	nextCode int
	nextDay  []byte // the dump
}

// A world is all that a run leaves and that a later run or a reader depends
// on, by what it is: everything but run ids, real times and where bytes lie.
type world map[string]string

func newLab(t *testing.T, seed uint64) *lab {
	t.Helper()
	l := &lab{program: filepath.Join(t.TempDir(), "cis"), slots: make(chan struct{}, 2), seed: seed}
	build := exec.CommandContext(t.Context(), "go", "build", "-race=false", "-o", l.program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return l
}

// start starts the program. What it says comes back from wait.
func (l *lab) start(t *testing.T, failpoint string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	p := &process{Cmd: exec.CommandContext(ctx, l.program, args...), began: time.Now(), ended: make(chan struct{})}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CIS_") {
			p.Env = append(p.Env, v)
		}
	}
	if failpoint != "" {
		p.Env = append(p.Env, "CIS_FAILPOINT="+failpoint)
	}
	p.Stdout, p.Stderr = &p.out, &p.complaint
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.Wait()
		cancel()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.Process.Kill()
		<-p.ended
	})
	return p
}

type process struct {
	*exec.Cmd
	began          time.Time
	out, complaint bytes.Buffer
	ended          chan struct{} // closed at the end; err is set then
	err            error
}

// killed is the code of a process that a SIGKILL ended.
const killed = -int(syscall.SIGKILL)

// wait waits for the end and returns the exit code, or minus the signal.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	<-p.ended
	if took := time.Since(p.began); took >= patience {
		t.Fatalf("%v has not ended in %v", p.Args[1:], patience)
	}
	var exit *exec.ExitError
	if p.err != nil && !errors.As(p.err, &exit) {
		t.Fatal(p.err)
	}
	status := p.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return -int(status.Signal())
	}
	return status.ExitStatus()
}

// signal sends a signal, which a process that has ended need not hear.
func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
}

// run runs the program and demands that it ends with one of the codes.
func (l *lab) run(t *testing.T, failpoint string, args []string, want ...int) *process {
	t.Helper()
	p := l.start(t, failpoint, args...)
	p.waitFor(t, want...)
	return p
}

// waitFor waits for an end with one of the codes.
func (p *process) waitFor(t *testing.T, want ...int) {
	t.Helper()
	if code := p.wait(t); !slices.Contains(want, code) {
		t.Fatalf("cis %s ended with %d, want %v: %s", strings.Join(p.Args[1:], " "), code, want, p.complaint.String())
	}
}

// in is a command about the configuration of a folder.
func in(dir string, args ...string) []string {
	return append(slices.Clone(args), "--config", filepath.Join(dir, "cis.yaml"))
}

// copyFolder copies a folder's files into a new one.
func copyFolder(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.Join(to, strings.TrimPrefix(path, from))
		if e.IsDir() {
			return os.MkdirAll(name, 0o700)
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(name, body, 0o600) // keys that others can read are refused
	})
	check(t, err)
	return to
}

func lay(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const crashPeople = 50

// prepareFew makes the first load only.
func (l *lab) prepareFew(t *testing.T) (company string) {
	t.Helper()
	company = filepath.Join(t.TempDir(), "company")
	l.run(t, "", []string{"synth", company, "--people", fmt.Sprint(crashPeople)}, 0)
	l.add(t, &crashDay{name: "first load", folder: company, sync: firstLoad(), next: synthDay(t, crashPeople, 1), tomorrow: at(1)})
	return company
}

// firstLoad is the command of the first day.
func firstLoad() []string { return append(at(0), "--first-load", "--reason", "the first day") }

// prepare makes every day.
func (l *lab) prepare(t *testing.T) {
	t.Helper()
	company := l.prepareFew(t)
	sources := make([]map[string][]byte, 9)
	for day := range sources {
		sources[day] = synthDay(t, crashPeople, day)
	}

	vaults := []string{l.after(t, company, nil, firstLoad())} // by day
	for day := 1; day <= 5; day++ {
		vaults = append(vaults, l.after(t, vaults[day-1], sources[day], at(day)))
	}
	on := func(name, before string, day int, files, next map[string][]byte) {
		dir := copyFolder(t, before)
		lay(t, dir, files)
		l.add(t, &crashDay{name: name, folder: dir, sync: at(day), next: next, tomorrow: at(day + 1)})
	}
	on("quiet day", vaults[0], 1, sources[0], sources[1])
	short := maps.Clone(sources[3])
	for _, name := range []string{synth.WorkersFile, synth.GitHubFile} {
		short[name] = short[name][:len(short[name])/2]
	}
	on("reports cut short", vaults[2], 3, short, sources[4])
	on("joiner, leaver, relink", vaults[4], 5, sources[5], sources[6])
	on("leavers, return, clear", vaults[5], 6, sources[6], sources[7])

	// A human takes an account from one person and gives it to another, and
	// then two of the sources are asked.
	decided := copyFolder(t, vaults[3])
	account := func(who string) string {
		var links struct {
			Links []struct{ Publisher, Record string }
		}
		check(t, json.Unmarshal(l.run(t, "", in(decided, "links", who, "--json"), 0).out.Bytes(), &links, json.MatchCaseInsensitiveNames(true)))
		i := slices.IndexFunc(links.Links, func(l struct{ Publisher, Record string }) bool { return l.Publisher == "github" })
		if i < 0 {
			t.Fatalf("%s has no account", who)
		}
		return links.Links[i].Record
	}
	moved := account("sndiaye")
	l.run(t, "", in(decided, "unlink", "rdellacqua", "github", "--reason", "a try"), 0)
	l.run(t, "", in(decided, "link", "rdellacqua", "github", moved, "--reason", "a try"), 0)
	lay(t, decided, sources[4])
	l.add(t, &crashDay{name: "links, two sources", folder: decided, sync: append(at(4), "--source", "github", "--source", "directory"), next: sources[5], tomorrow: at(5)})

	l.refreshed = copyFolder(t, vaults[4])
	lay(t, l.refreshed, sources[5])

	// Six are missing from the report, long enough for it to act: too many at
	// once, so their ends are held, while a group of theirs is renamed and
	// three of them hand on a uid each. The day after, four are back.
	six := l.staff(t, vaults[0], sources[0], 6)
	missing := map[string][]byte{synth.PeopleFile: sources[0][synth.PeopleFile], synth.WorkersFile: without(t, sources[0], six)}
	held := l.after(t, l.after(t, vaults[0], missing, at(1)), missing, at(2))
	ldif := sources[0][synth.PeopleFile]
	for i, who := range six[:3] {
		uid := "a-new-uid"
		if i < 2 {
			uid = six[i+1].uid
		}
		ldif = bytes.Replace(ldif, []byte("\nuid: "+who.uid+"\n"), []byte("\nuid: \x00"+uid+"\n"), 1)
	}
	ldif = bytes.ReplaceAll(bytes.ReplaceAll(ldif, []byte("\x00"), nil), []byte("\ncn: everyone\n"), []byte("\ncn: everybody\n"))
	on("held ends, chained uids", held, 3, map[string][]byte{synth.PeopleFile: ldif, synth.WorkersFile: missing[synth.WorkersFile]},
		map[string][]byte{synth.PeopleFile: ldif, synth.WorkersFile: without(t, sources[0], six[4:])})
}

// at is the command of a sync on a day.
func at(day int) []string {
	return []string{"sync", "--json", "--now", time.Date(2026, 3, 2+day, 6, 0, 0, 0, time.UTC).Format(time.RFC3339)}
}

func synthDay(t *testing.T, n, day int) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	if _, err := synth.Write(t.Context(), dir, synth.Options{People: n, Seed: 1, Day: day}); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, name := range []string{synth.PeopleFile, synth.WorkersFile, synth.AccountsFile, synth.DirectoryFile, synth.GitHubFile} {
		body, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = body
	}
	return files
}

// after returns a copy of a folder in which a day has passed.
func (l *lab) after(t *testing.T, folder string, sources map[string][]byte, command []string) string {
	t.Helper()
	dir := copyFolder(t, folder)
	lay(t, dir, sources)
	l.run(t, "", in(dir, command...), 0, 3)
	return dir
}

// add lives through a day without a crash, and keeps what it left.
func (l *lab) add(t *testing.T, d *crashDay) {
	t.Helper()
	dir := copyFolder(t, d.folder)
	p := l.run(t, "", in(dir, d.sync...), 0, 3)
	d.code, d.took = p.ProcessState.ExitCode(), time.Since(p.began)
	d.dump = l.run(t, "", in(dir, "dump"), 0).out.Bytes()
	d.evening = look(t, dir)
	lay(t, dir, d.next)
	d.nextCode = l.run(t, "", in(dir, d.tomorrow...), 0, 3).ProcessState.ExitCode()
	d.nextDay = l.run(t, "", in(dir, "dump"), 0).out.Bytes()
	l.days = append(l.days, d)
}

func (l *lab) day(t *testing.T, name string) *crashDay {
	t.Helper()
	i := slices.IndexFunc(l.days, func(d *crashDay) bool { return d.name == name })
	if i < 0 {
		t.Fatalf("no day %q", name)
	}
	return l.days[i]
}

// finish lets a day that was cut off in dir go to its end and on to the next
// day, and compares everything with the day that was not.
func (l *lab) finish(t *testing.T, d *crashDay, dir string) {
	t.Helper()
	l.run(t, "", in(dir, d.sync...), d.code)
	if dump := l.run(t, "", in(dir, "dump"), 0).out.Bytes(); !bytes.Equal(dump, d.dump) {
		t.Errorf("the dump differs from that of a run that was not killed")
	}
	l.run(t, "", in(dir, "verify", "--all"), 0)
	d.evening.compare(t, look(t, dir))
	lay(t, dir, d.next)
	l.run(t, "", in(dir, d.tomorrow...), d.nextCode)
	if dump := l.run(t, "", in(dir, "dump"), 0).out.Bytes(); !bytes.Equal(dump, d.nextDay) {
		t.Errorf("a day later, the dump differs from that after a run that was not killed")
	}
}

// compare tells what differs in got.
func (w world) compare(t *testing.T, got world) {
	t.Helper()
	told := 0
	all := maps.Clone(w)
	maps.Copy(all, got)
	for _, what := range slices.Sorted(maps.Keys(all)) {
		if w[what] == got[what] {
			continue
		}
		if told++; told == 6 {
			t.Error("… and more differs")
			return
		}
		from := 0
		for from < min(len(w[what]), len(got[what])) && w[what][from] == got[what][from] {
			from++
		}
		from = max(0, from-20)
		part := func(s string) string { return s[min(from, len(s)):min(from+160, len(s))] }
		t.Errorf("%s: from byte %d\n got %s\nwant %s", what, from, part(got[what]), part(w[what]))
	}
}

// runOf finds the run in an entry of history: another one each time.
var runOf = regexp.MustCompile(`"run":"[^"]*"`)

// look reads what a run left, and complains about what no run may leave.
func look(t *testing.T, dir string) world {
	t.Helper()
	ctx := t.Context()
	s, err := sqlite.Open(ctx, filepath.Join(dir, "cis.db"), sqlite.Options{ReadOnly: true})
	check(t, err)
	defer s.Close()
	b, err := blobdir.Open(filepath.Join(dir, "cis-blobs"))
	check(t, err)
	defer b.Close()
	w := world{}
	snap := lookAtSnapshot(t, w, s, b, dir)
	defer snap.Close()
	key, err := s.Doc(ctx, "vault", "key")
	check(t, err)
	hash := snapshot.NewHasher(key.Body)
	var keys []people.Key
	var who []people.ID
	err = each(ctx, s, func(p sinks.Stored, profile *people.Profile) error {
		canonical := profile.AppendJSON(nil)
		w["profile "+p.ID.String()] = fmt.Sprintf("%d %s", p.Revision, canonical)
		for _, k := range lookAtPerson(t, w, s, p, profile) {
			keys, who = append(keys, k), append(who, p.ID)
		}
		row, ok := snap.Rows.Find(p.ID)
		if !ok {
			t.Errorf("%s is not in the snapshot", p.ID)
			return nil
		}
		body, err := snap.Packed(ctx, row)
		check(t, err)
		if row.Revision != p.Revision || row.Exact != hash.Exact(canonical) || row.Content != hash.Content(profile) || !bytes.Equal(body, p.Profile) {
			t.Errorf("%s is at revision %d, and not the same at %d in the snapshot", p.ID, p.Revision, row.Revision)
		}
		return nil
	})
	check(t, err)
	found, err := s.Lookup(ctx, keys)
	check(t, err)
	for i, holders := range found {
		if !slices.Contains(holders, who[i]) {
			t.Errorf("%s is not found by %s", who[i], keys[i].Scheme)
		}
		w[fmt.Sprintf("lookup %s %s", keys[i].Scheme, keys[i].Value)] = fmt.Sprint(holders)
	}
	rows, err := s.Outbox(ctx, "test", 10_000)
	check(t, err)
	for _, r := range rows {
		w[fmt.Sprintf("outbox %s %s", r.ID, r.Operation)] = fmt.Sprint(r.UserID, r.Revision)
	}
	lookForLeftovers(t, s, b, dir)
	return w
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lookAtPerson notes what a profile stands on, how it came to be and how it
// is found.
func lookAtPerson(t *testing.T, w world, s sinks.Store, p sinks.Stored, profile *people.Profile) []people.Key {
	t.Helper()
	var evidence people.Evidence
	if len(p.Observations) > 0 {
		body, err := sinks.Unpack(p.Observations)
		check(t, err)
		w["evidence "+p.ID.String()] = string(body)
		check(t, json.Unmarshal(body, &evidence))
	}
	docs, err := s.History(t.Context(), p.ID, 0)
	check(t, err)
	if len(docs) != int(p.Revision) {
		t.Errorf("%s is at revision %d and has %d entries of history", p.ID, p.Revision, len(docs))
	}
	for i, d := range docs {
		body, err := sinks.Unpack(d.Doc)
		check(t, err)
		w[fmt.Sprintf("history %s %d", p.ID, i+1)] = runOf.ReplaceAllString(string(body), "")
		if d.Revision != int64(i+1) {
			t.Errorf("%s: entry %d of history is of revision %d", p.ID, i+1, d.Revision)
		}
	}
	keys := sync.Keys(profile, &evidence)
	return append(keys.Unique, keys.Lookups...)
}

// lookAtSnapshot notes what the next run will start from.
func lookAtSnapshot(t *testing.T, w world, s sinks.Store, b sinks.Blobs, dir string) *snapshots.World {
	t.Helper()
	ctx := t.Context()
	head, err := sync.Head(ctx, s)
	check(t, err)
	snap, err := snapshots.Open(ctx, b, head)
	check(t, err)
	w["snapshot"] = fmt.Sprint(snap.Manifest.Clock, snap.Manifest.Catalogue, snap.Manifest.Count, snap.Manifest.Active)
	lines := func(what string, list []string) { // their order depends on the vault's key
		slices.Sort(list)
		w[what] = strings.Join(list, "\n")
	}
	for _, src := range snap.Manifest.Sources {
		c, err := json.Marshal(src.Certificate, json.Deterministic(true))
		check(t, err)
		w["certificate "+src.Name] = strings.ReplaceAll(string(c), dir, "DIR")
		table, err := snap.Records(ctx, src.Name)
		check(t, err)
		var list []string
		for i := range table.Len() {
			r := table.At(i)
			list = append(list, fmt.Sprint(r.Person, r.State, r.NotYet, r.Regressed, r.Since, r.Due, r.Length))
		}
		lines("records "+src.Name, list)
		body, err := snapshots.Read(ctx, b, src.Waiting)
		check(t, err)
		lines("waiting "+src.Name, strings.Split(string(body), "\n"))
	}
	lists, err := snap.Lists(ctx)
	check(t, err)
	elements := func(what string, n int, at func(int) any) {
		var list []string
		for i := range n {
			body, err := json.Marshal(at(i), json.Deterministic(true))
			check(t, err)
			list = append(list, string(body))
		}
		lines(what, list)
	}
	elements("cases", len(lists.Cases), func(i int) any { return lists.Cases[i] })
	elements("rejections", len(lists.Rejections), func(i int) any { return lists.Rejections[i] })
	elements("upcoming", len(lists.Upcoming), func(i int) any { return lists.Upcoming[i] })
	return snap
}

// lookForLeftovers complains about runs without an end, and about blobs that
// belong to nobody.
func lookForLeftovers(t *testing.T, s sinks.Store, b sinks.Blobs, dir string) {
	t.Helper()
	ctx := t.Context()
	for _, kind := range []string{"unfinished", "holder"} {
		docs, err := s.Docs(ctx, kind, "", 100)
		check(t, err)
		for _, d := range docs {
			t.Errorf("the ledger still says %s %s", kind, d.Key)
		}
	}
	kept, last := map[string]bool{}, ""
	err := sync.EachRun(ctx, s, func(r sync.Record, _ sinks.Doc) error {
		switch r.Outcome {
		case sync.Done, sync.Held:
			kept[r.Run] = r.Snapshot
		case sync.Failed, sync.Abandoned:
		default:
			t.Errorf("run %s is %s for ever", r.Run, r.Outcome)
		}
		if r.Finished.IsZero() {
			t.Errorf("run %s has no end", r.Run)
		}
		return nil
	})
	check(t, err)
	if last, err = sync.Head(ctx, s); err != nil {
		t.Fatal(err)
	}
	names, err := b.Names(ctx, "")
	check(t, err)
	for _, name := range names {
		top, rest, _ := strings.Cut(name, "/")
		run, _, _ := strings.Cut(rest, "/")
		switch {
		case top == "snapshots" && kept[run]:
		case top == "plans" && run == last:
		default:
			t.Errorf("the blob %s is of no use to anybody", name)
		}
	}
	unfinished, err := os.ReadDir(filepath.Join(dir, "cis-blobs", "~unfinished"))
	check(t, err)
	for _, f := range unfinished {
		t.Errorf("a file that was not finished is left: %s", f.Name())
	}
}

// A worker is somebody in both sources.
type worker struct{ uid, mail string }

// staff picks people who are in both sources and active, sorted by uuid, so
// that who comes first is also written first.
func (l *lab) staff(t *testing.T, folder string, sources map[string][]byte, n int) (list []worker) {
	t.Helper()
	for line := range bytes.Lines(l.run(t, "", in(folder, "dump"), 0).out.Bytes()) {
		profile, err := people.ParseProfile(line)
		check(t, err)
		uid := strings.TrimPrefix(profile.Value(people.UserID).Text(), "ad|Mozilla-LDAP|")
		work, linked := profile.Value("access_information.hris").Lookup("primary_work_email")
		mail := work.Value
		if linked && bytes.Contains(sources[synth.PeopleFile], []byte("\nuid: "+uid+"\n")) && len(list) < n {
			list = append(list, worker{uid, mail})
		}
	}
	if len(list) < n {
		t.Fatalf("%d people in both sources, want %d", len(list), n)
	}
	return list
}

// without returns the HRIS report without some of its rows.
func without(t *testing.T, sources map[string][]byte, who []worker) []byte {
	t.Helper()
	var report struct {
		Rows []jsontext.Value `json:"Report_Entry"`
	}
	check(t, json.Unmarshal(sources[synth.WorkersFile], &report))
	before := len(report.Rows)
	report.Rows = slices.DeleteFunc(report.Rows, func(row jsontext.Value) bool {
		var r struct{ PrimaryWorkEmail string }
		check(t, json.Unmarshal(row, &r))
		return slices.ContainsFunc(who, func(w worker) bool { return w.mail == r.PrimaryWorkEmail })
	})
	if len(report.Rows) != before-len(who) {
		t.Fatalf("%d rows of %d are of %d people", before-len(report.Rows), before, len(who))
	}
	body, err := json.Marshal(report)
	check(t, err)
	return body
}
