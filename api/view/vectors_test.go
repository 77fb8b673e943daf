package view_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"example.org/cis/api/view"
	"example.org/cis/transforms/people"
)

// The older system's own answers: which attributes of a profile some scopes and
// a filterDisplay keep.
func TestVectors(t *testing.T) {
	dir := os.Getenv("CIS_VECTORS")
	if dir == "" {
		t.Skip("CIS_VECTORS is not set: the older system's filters are not compared")
	}
	b, err := os.ReadFile(filepath.Join(dir, "filters.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Profiles []json.RawMessage
		Cases    []struct {
			Profile       int
			Scopes        []string
			FilterDisplay *string `json:"filter_display"`
			Kept          []string
		}
	}
	if err := json.Unmarshal(b, &vectors); err != nil || len(vectors.Cases) == 0 {
		t.Fatal(len(vectors.Cases), err)
	}
	for i, c := range vectors.Cases {
		p, err := people.ParseProfile(vectors.Profiles[c.Profile])
		if err != nil {
			t.Fatal(err)
		}
		g := view.Of(c.Scopes)
		if c.FilterDisplay != nil {
			g = g.Narrowed(*c.FilterDisplay)
		}
		var kept []string
		for _, n := range p.Attributes {
			if _, seen := g.Attribute(p, n.Path); seen {
				kept = append(kept, string(n.Path))
			}
		}
		slices.Sort(kept)
		slices.Sort(c.Kept)
		if !slices.Equal(kept, c.Kept) {
			t.Errorf("case %d: %v by %v keep %v, want %v", i, c.Scopes, c.FilterDisplay, kept, c.Kept)
		}
	}
}
