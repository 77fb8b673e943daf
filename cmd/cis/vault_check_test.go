package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gcp "cloud.google.com/go/firestore"
	_ "modernc.org/sqlite"

	"example.org/cis/sinks"
	"example.org/cis/sinks/firestore"
	"example.org/cis/sinks/firestore/emulator"
	"example.org/cis/sinks/sqlite"
	"example.org/cis/transforms/people"
)

// emulated returns the spec of a database of its own in the emulator, which the
// test's programs use from then on, and a bare client of it.
func emulated(t *testing.T) (spec string, client *gcp.Client) {
	t.Helper()
	e := emulator.Start(t)
	project := e.Project(t)
	for _, v := range e.Env(project) {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	client, err := gcp.NewClient(t.Context(), project, e.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return "firestore:" + project, client
}

// synthVault is a folder with a vault of a few days.
func synthVault(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for day, now := range []string{"2026-03-02T06:00:00Z", "2026-03-03T06:00:00Z"} {
		for _, args := range [][]string{
			{"synth", dir, "--people", "40", "--day", fmt.Sprint(day)},
			{"sync", "--config", filepath.Join(dir, "cis.yaml"), "--now", now, "--first-load", "--reason", "a test"},
		} {
			if code, _, stderr := try(t.Context(), args...); code != exitDone && code != exitHeld {
				t.Fatalf("cis %s: %s", strings.Join(args, " "), stderr)
			}
		}
	}
	return dir
}

// cisIn runs a command on the configuration of a folder and demands its code.
func cisIn(t *testing.T, dir string, code int, args ...string) string {
	t.Helper()
	got, stdout, stderr := try(t.Context(), append(args, "--config", filepath.Join(dir, "cis.yaml"))...)
	if got != code {
		t.Fatalf("cis %s ended with %d, want %d: %s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stdout
}

// damage is what is done to a vault from outside, what a check says of it, and
// what is left after it was fixed.
type damage struct {
	name string
	do   string // for SQLite
	// firestore does the same there; nil if there is no such damage.
	firestore func(ctx context.Context, v damaged) error
	found     []string // kinds, each once, sorted
	left      []string
}

// damaged is a vault to be damaged: the first and the second of its people.
type damaged struct {
	client        *gcp.Client
	first, second people.ID
	login         string // of the first
}

func (d damaged) person(id people.ID) *gcp.DocumentRef {
	return d.client.Collection("people").Doc(id.String())
}

// claim is the first claim of a person of that scheme.
func (d damaged) claim(ctx context.Context, id people.ID, scheme people.Scheme) (*gcp.DocumentRef, error) {
	docs, err := d.client.Collection("claims").Where("person", "==", id[:]).Where("scheme", "==", string(scheme)).Documents(ctx).GetAll()
	if err != nil {
		return nil, err
	}
	if len(docs) == 0 {
		return nil, fmt.Errorf("no claim of %s", scheme)
	}
	return docs[0].Ref, nil
}

func remove(ref *gcp.DocumentRef, err error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err == nil {
			_, err = ref.Delete(ctx)
		}
		return err
	}
}

// In the SQL, :first and :second are two people.
var damages = []damage{
	{
		name:  "a user_id leads nowhere",
		do:    `DELETE FROM claim WHERE person = :first AND scheme = 'user_id'`,
		found: []string{"missing"},
		firestore: func(ctx context.Context, v damaged) error {
			ref, err := v.claim(ctx, v.first, people.ByUserID)
			return remove(ref, err)(ctx)
		},
	},
	{
		name:  "mails lead nowhere",
		do:    `DELETE FROM lookup WHERE person = :first AND scheme = 'email'`,
		found: []string{"missing"},
		firestore: func(ctx context.Context, v damaged) error {
			_, err := v.person(v.first).Update(ctx, []gcp.Update{{Path: "lookups", Value: gcp.Delete}})
			return err
		},
	},
	{
		name:  "a mail leads to one more",
		do:    `INSERT INTO lookup VALUES ('email', 'nobody@example.com', :first)`,
		found: []string{"extra"},
		firestore: func(ctx context.Context, v damaged) error {
			h := sinks.KeyHash(people.Key{Scheme: people.ByEmail, Value: "nobody@example.com"})
			_, err := v.person(v.first).Update(ctx, []gcp.Update{{Path: "lookups", Value: gcp.ArrayUnion(h[:])}})
			return err
		},
	},
	{
		name:  "a username leads to one more",
		do:    `INSERT INTO claim VALUES ('username', 'nobodys', :first)`,
		found: []string{"extra"},
		firestore: func(ctx context.Context, v damaged) error {
			_, err := v.client.Collection("claims").Doc("nobodys").Set(ctx, map[string]any{"person": v.first[:], "scheme": "username"})
			return err
		},
	},
	{
		name:  "nobody is searched by what they are",
		do:    `DELETE FROM facts`,
		found: []string{"missing"},
	},
	{
		name:  "somebody is searched by what they are not",
		do:    `UPDATE facts SET hashes = (SELECT hashes FROM facts WHERE person = :second), active = NOT active WHERE person = :first`,
		found: []string{"extra", "missing"},
		firestore: func(ctx context.Context, v damaged) error {
			_, err := v.person(v.first).Update(ctx, []gcp.Update{{Path: "facts", Value: [][]byte{{1, 2, 3}}}, {Path: "active", Value: false}})
			return err
		},
	},
	{
		name: "something is left of nobody",
		do: `INSERT INTO claim VALUES ('username', 'nobodys', x'00112233445566778899aabbccddeeff');
			INSERT INTO lookup VALUES ('email', 'nobody@example.com', x'00112233445566778899aabbccddeeff');
			INSERT INTO history VALUES (x'00112233445566778899aabbccddeeff', 1, x'01')`,
		found: []string{"orphan"},
		firestore: func(ctx context.Context, v damaged) error {
			id := people.ID{0, 0x11, 0x22, 0x33, 0x44}
			_, err := v.client.Collection("claims").Doc("nobodys").Set(ctx, map[string]any{"person": id[:], "scheme": "username"})
			if err == nil {
				_, err = v.person(id).Collection("history").Doc("0000000000000000001").Set(ctx, map[string]any{"doc": []byte{1}})
			}
			if err == nil {
				_, err = v.client.Collection("observations").Doc(id.String()).Set(ctx, map[string]any{"doc": []byte{1}})
			}
			return err
		},
	},
	{
		name:  "a login leads to somebody else",
		do:    `UPDATE claim SET person = :second WHERE person = :first AND scheme = 'user_id'`,
		found: []string{"extra", "taken"}, // mended one after the other
	},
	{
		name: "a login leads to somebody else whose document does not say so",
		firestore: func(ctx context.Context, v damaged) error {
			ref, err := v.claim(ctx, v.first, people.ByUserID)
			if err == nil {
				_, err = ref.Update(ctx, []gcp.Update{{Path: "person", Value: v.second[:]}})
			}
			return err
		},
		found: []string{"extra", "missing"},
	},
	{
		name:  "a revision has no history",
		do:    `DELETE FROM history WHERE person = :first`,
		found: []string{"history"}, left: []string{"history"},
		firestore: func(ctx context.Context, v damaged) error {
			docs, err := v.person(v.first).Collection("history").DocumentRefs(ctx).GetAll()
			for _, d := range docs {
				if err == nil {
					_, err = d.Delete(ctx)
				}
			}
			return err
		},
	},
	{
		name:  "a profile cannot be read",
		do:    `UPDATE person SET profile = x'00' WHERE id = :first`,
		found: []string{"damaged"}, left: []string{"damaged"},
		firestore: func(ctx context.Context, v damaged) error {
			_, err := v.person(v.first).Update(ctx, []gcp.Update{{Path: "profile", Value: []byte{0}}})
			return err
		},
	},
	{
		name: "a document is nothing of ours",
		firestore: func(ctx context.Context, v damaged) error {
			_, err := v.person(v.first).Set(ctx, map[string]any{"revision": "many"})
			return err
		},
		found: []string{"damaged"}, left: []string{"damaged"},
	},
	{
		name:  "a profile is another person's",
		do:    `UPDATE person SET profile = (SELECT profile FROM person WHERE id = :second) WHERE id = :first`,
		found: []string{"profile"}, left: []string{"profile"},
		firestore: func(ctx context.Context, v damaged) error {
			d, err := v.person(v.second).Get(ctx)
			if err == nil {
				_, err = v.person(v.first).Update(ctx, []gcp.Update{{Path: "profile", Value: d.Data()["profile"]}})
			}
			return err
		},
	},
	{
		name:  "two people want the same login",
		do:    `UPDATE person SET profile = :wants WHERE id = :second`,
		found: []string{"extra", "signature", "taken"}, left: []string{"extra", "signature", "taken"},
	},
	{
		name:  "two people want the same login, of whom one has it in their document", // which also says by what they sort
		found: []string{"extra", "signature", "taken"}, left: []string{"extra", "signature", "taken"},
		firestore: func(ctx context.Context, v damaged) error {
			d, err := v.person(v.second).Get(ctx)
			if err != nil {
				return err
			}
			packed, err := wants(d.Data()["profile"].([]byte), v.login)
			if err == nil {
				_, err = v.person(v.second).Update(ctx, []gcp.Update{{Path: "profile", Value: packed}})
			}
			return err
		},
	},
}

// wants makes a profile say another login.
func wants(packed []byte, login string) ([]byte, error) {
	body, err := sinks.Unpack(packed)
	if err != nil {
		return nil, err
	}
	profile, err := people.ParseProfile(body)
	if err != nil {
		return nil, err
	}
	a, _ := profile.Find(people.UserID)
	a.Value = people.StringValue(login)
	profile.Set(people.UserID, a)
	return sinks.Pack(profile.AppendJSON(nil)), nil
}

// checked runs a check and returns the kinds that it found, and that it left.
func checked(t *testing.T, dir string, code int, args ...string) (found, left []string, stdout string) {
	t.Helper()
	stdout = cisIn(t, dir, code, append([]string{"vault", "check", "--json"}, args...)...)
	var r struct {
		Problems, Left []struct{ Kind, Text, Resolve string }
	}
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Problems {
		if p.Text == "" || p.Resolve == "" {
			t.Errorf("%s: nothing is said of it, or of what mends it", p.Kind)
		}
		found = append(found, p.Kind)
	}
	for _, p := range r.Left {
		left = append(left, p.Kind)
	}
	slices.Sort(found)
	slices.Sort(left)
	return slices.Compact(found), slices.Compact(left), stdout
}

// look checks a damaged vault, fixes it, and checks again; dump is that of the
// vault before, which nothing of it changes.
func (d damage) look(t *testing.T, dir string, v damaged, args ...string) {
	t.Helper()
	found, _, stdout := checked(t, dir, exitHeld, args...)
	if !slices.Equal(found, d.found) {
		t.Errorf("found %v, want %v: %s", found, d.found, stdout)
	}
	if strings.Contains(stdout, v.login) || strings.Contains(stdout, "nobody@example.com") || strings.Contains(stdout, "nobodys") {
		t.Errorf("a value is named: %s", stdout)
	}
	table := cisIn(t, dir, exitHeld, append([]string{"vault", "check"}, args...)...)
	if !strings.Contains(table, "what mends it") {
		t.Error(table)
	}
	code := exitDone
	if len(d.left) > 0 {
		code = exitHeld
	}
	found, left, stdout := checked(t, dir, code, append(args, "--fix")...)
	if !slices.Equal(found, d.found) || !slices.Equal(left, d.left) {
		t.Errorf("fixing found %v and left %v, want %v and %v: %s", found, left, d.found, d.left, stdout)
	}
	if found, _, _ = checked(t, dir, code, args...); !slices.Equal(found, d.left) {
		t.Errorf("afterwards there is %v, want %v", found, d.left)
	}
}

func TestVaultCheck(t *testing.T) {
	whole := synthVault(t)
	if got := cisIn(t, whole, exitDone, "vault", "check"); !strings.Contains(got, "nothing is wrong.") {
		t.Error(got)
	}
	want := cisIn(t, whole, exitDone, "dump")
	for _, d := range damages {
		t.Run("sqlite/"+d.name, func(t *testing.T) {
			if d.do == "" {
				t.Skip("there is no such damage")
			}
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			private(t, dir)
			v := hurt(t, filepath.Join(dir, "cis.db"), d.do)
			d.look(t, dir, v)
			if !slices.ContainsFunc(d.left, func(kind string) bool { return kind != "history" }) {
				if got := cisIn(t, dir, exitDone, "dump"); got != want {
					t.Error("a profile has changed")
				}
			}
		})
	}
	for _, d := range damages {
		t.Run("firestore/"+d.name, func(t *testing.T) {
			if d.firestore == nil {
				t.Skip("there is no such damage")
			}
			spec, client := emulated(t)
			cisIn(t, whole, exitDone, "vault", "copy", "sqlite:"+filepath.Join(whole, "cis.db"), spec)
			v := damaged{client: client}
			store, err := firestore.Open(t.Context(), strings.TrimPrefix(spec, "firestore:"), firestore.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			var stored [2]sinks.Stored
			stored, v.login = two(t, store)
			v.first, v.second = stored[0].ID, stored[1].ID
			if err := d.firestore(t.Context(), v); err != nil {
				t.Fatal(err)
			}
			d.look(t, whole, v, "--vault", spec)
		})
	}
}

// two are two people of a vault who are active, the same two in each vault of
// one company: their ids are not, and neither is what the person has who
// happens to come first.
func two(t *testing.T, store sinks.Reader) (stored [2]sinks.Stored, login string) {
	t.Helper()
	byLogin := map[string]sinks.Stored{}
	err := each(t.Context(), store, func(s sinks.Stored, profile *people.Profile) error {
		if profile.Value(people.Active).True() {
			byLogin[profile.Value(people.UserID).Text()] = s
		}
		return nil
	})
	if err != nil || len(byLogin) < 2 {
		t.Fatalf("%d active people, %v", len(byLogin), err)
	}
	logins := slices.Sorted(maps.Keys(byLogin))
	return [2]sinks.Stored{byLogin[logins[0]], byLogin[logins[1]]}, logins[0]
}

// hurt runs SQL on the file of a vault.
func hurt(t *testing.T, path, do string) (v damaged) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path, sqlite.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	stored, login := two(t, store)
	store.Close()
	want, err := wants(stored[1].Profile, login)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	v.first, v.second, v.login = stored[0].ID, stored[1].ID, login
	quote := func(b []byte) string { return fmt.Sprintf("x'%x'", b) }
	do = strings.NewReplacer(":first", quote(v.first[:]), ":second", quote(v.second[:]), ":wants", quote(want)).Replace(do)
	if _, err := db.ExecContext(t.Context(), do); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestVaultCheckOfEachVersion raises the vaults of earlier versions, which
// lack what people are searched by.
func TestVaultCheckOfEachVersion(t *testing.T) {
	for version, found := range map[string][]string{"v1": {"missing"}, "v2": {"missing"}} {
		t.Run(version, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "testdata", "vault", version))); err != nil {
				t.Fatal(err)
			}
			private(t, dir)
			want := cisIn(t, dir, exitDone, "dump")
			got, left, _ := checked(t, dir, exitDone, "--fix")
			if !slices.Equal(got, found) || len(left) > 0 {
				t.Errorf("found %v, want %v; left %v", got, found, left)
			}
			if got, _, _ := checked(t, dir, exitDone); len(got) > 0 {
				t.Errorf("afterwards there is %v", got)
			}
			if got := cisIn(t, dir, exitDone, "dump"); got != want {
				t.Error("a profile has changed")
			}
			cisIn(t, dir, exitDone, "vault", "copy", "sqlite:"+filepath.Join(dir, "cis.db"), "sqlite:"+filepath.Join(dir, "copy.db"))
			if got := cisIn(t, dir, exitDone, "dump", "--vault", "sqlite:"+filepath.Join(dir, "copy.db")); got != want {
				t.Error("a profile has changed in a copy")
			}
		})
	}
}
