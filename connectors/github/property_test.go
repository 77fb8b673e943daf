package github

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"example.org/cis/connectors/connectortest"
	"example.org/cis/connectors/github/githubtest"
	"example.org/cis/transforms/people"
)

// world draws two organisations whose owner is the example's bot.
func world(t *rapid.T) *githubtest.World {
	w := githubtest.Example()
	for id := int64(20); id < 26; id++ {
		w.Users = append(w.Users, &githubtest.User{ID: id, Login: fmt.Sprintf("u%d", id), NodeID: fmt.Sprintf("U_%d", id)})
	}
	pick := func(what string, some ...string) string { return rapid.SampledFrom(some).Draw(t, what) }
	for _, o := range w.Organizations {
		o.TeamRoles = rapid.Bool().Draw(t, "roles")
		o.Members, o.Outside, o.Teams = map[int64]string{1: "admin"}, nil, nil
		for _, u := range w.Users {
			switch pick("is", "nobody", "member", "member", "admin", "outside", "both") {
			case "member":
				o.Members[u.ID] = "member"
			case "admin":
				o.Members[u.ID] = "admin"
			case "outside":
				if o.Members[u.ID] == "" {
					o.Outside = append(o.Outside, u.ID)
				}
			case "both":
				o.Members[u.ID] = "member"
				o.Outside = append(o.Outside, u.ID)
			}
		}
		o.Members[1] = "admin"
		slugs := []string{""}
		for i := range rapid.IntRange(0, 5).Draw(t, "teams") {
			team := &githubtest.Team{
				ID: o.ID*10 + int64(i), Slug: fmt.Sprintf("Team-%d", i), Parent: pick("parent", slugs...),
				Secret: rapid.Bool().Draw(t, "secret"), Members: map[int64]string{},
			}
			slugs = append(slugs, team.Slug)
			for id := range o.Members {
				if role := pick("role", "", "", "member", "maintainer"); role != "" {
					team.Members[id] = role
				}
			}
			o.Teams = append(o.Teams, team)
		}
		// The order in which a server lists teams means nothing.
		o.Teams = rapid.Permutation(o.Teams).Draw(t, "order")
	}
	return w
}

// TestSame demands that a file and the API, all at once and account by account,
// in one page or in several, with a memory or without, say the same of the same
// organisations.
func TestSame(t *testing.T) {
	srv, _, c := serve(t)
	cfg := config(srv)
	cfg.Users = true
	o := c.options()
	o.Memory = new(memory)
	remembers, paged := open(t, cfg, srv.Secret, o), open(t, cfg, srv.Secret, c.options())
	paged.perPage = 2
	path := filepath.Join(t.TempDir(), "github.json")
	fromFile := open(t, Config{Name: "github", File: path}, nil, Options{})
	rapid.Check(t, func(rt *rapid.T) {
		srv.Change(func(w *githubtest.World) { *w = *world(rt) })
		srv.SetRemaining(1 << 20)
		if err := os.WriteFile(path, srv.Dump("acme", "Labs"), 0o600); err != nil {
			t.Fatal(err)
		}
		want := whole(t, fromFile)
		s := paged
		if rapid.Bool().Draw(rt, "memory") {
			s = remembers
		}
		if got := whole(t, s); !maps.Equal(got.Contents(), want.Contents()) {
			rt.Fatal("another extract than from the file")
		}
		if s == remembers {
			before := srv.Counts()
			whole(t, s)
			if after := srv.Counts(); after.Charged != before.Charged {
				rt.Fatalf("an unchanged extract was charged for %d requests", after.Charged-before.Charged)
			}
		}
		one := want.Observations[rapid.IntRange(0, len(want.Observations)-1).Draw(rt, "who")]
		found, err := s.Find(t.Context(), people.Key{Scheme: people.ByRecord(people.GitHub), Value: one.Record})
		r := connectortest.Recorder{Observations: []people.Observation{found}}
		if err != nil || r.Contents()[one.Record] != (&connectortest.Recorder{Observations: []people.Observation{one}}).Contents()[one.Record] {
			rt.Fatalf("%s is another one alone: %v\n%v\n%v", one.Record, err, one, found)
		}
	})
}
