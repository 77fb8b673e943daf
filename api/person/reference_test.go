package person_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"

	"example.org/cis/transforms/people"
)

// shown is the contract's filter, written once more from its text: which
// attributes of a profile scopes and a filterDisplay leave.
func shown(p *people.Profile, scopes []string, filterDisplay string) (kept []string) {
	classScope := map[string]string{
		"MOZILLA CONFIDENTIAL": "classification:mozilla_confidential", "WORKGROUP CONFIDENTIAL": "classification:workgroup",
		"WORKGROUP CONFIDENTIAL: STAFF ONLY": "classification:workgroup:staff_only", "INDIVIDUAL CONFIDENTIAL": "classification:individual",
	}
	audience := map[string]int{"public": 0, "authenticated": 1, "vouched": 2, "ndaed": 3, "staff": 4, "private": 5}
	for _, n := range p.Attributes {
		class, display := n.Metadata.Classification, n.Metadata.Display
		if class != "PUBLIC" && !slices.Contains(scopes, classScope[class]) && !slices.Contains(scopes, "read:fullprofile") {
			continue
		}
		scope := "display:" + display
		if display == "" {
			scope = "display:none"
		}
		if display != "public" && (display == "private" || !slices.Contains(scopes, scope)) && !slices.Contains(scopes, "display:all") {
			continue
		}
		if filterDisplay != "" {
			level, known := audience[display]
			if !known || level > audience[filterDisplay] { // a word that is none is as public
				continue
			}
		}
		kept = append(kept, string(n.Path))
	}
	slices.Sort(kept)
	return kept
}

// attributes are the paths in an answered profile.
func attributes(t *testing.T, body []byte) (uuid string, paths []string) {
	t.Helper()
	var p map[string]json.RawMessage
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for name, raw := range p {
		if name == "schema" {
			continue
		}
		var inner map[string]json.RawMessage
		if err := json.Unmarshal(raw, &inner); err != nil {
			t.Fatal(err)
		}
		if _, attribute := inner["metadata"]; attribute {
			paths = append(paths, name)
			continue
		}
		for n := range inner {
			paths = append(paths, name+"."+n)
		}
	}
	slices.Sort(paths)
	parsed, err := people.ParseProfile(body)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Value(people.UUID).Text(), paths
}

// On every route that shows profiles, in every form, callers of random scopes see
// of random profiles what the contract's text says, and everybody whom it says.
func TestRoutesAgreeWithTheContract(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	classes := []string{"PUBLIC", "MOZILLA CONFIDENTIAL", "WORKGROUP CONFIDENTIAL", "WORKGROUP CONFIDENTIAL: STAFF ONLY", "INDIVIDUAL CONFIDENTIAL"}
	displays := []string{"public", "authenticated", "vouched", "ndaed", "staff", "private", ""}
	scopeWords := []string{"read:fullprofile", "display:all", "classification:mozilla_confidential", "classification:workgroup:staff_only", "classification:workgroup",
		"classification:individual", "display:authenticated", "display:vouched", "display:ndaed", "display:staff", "display:none", "display:private", "classification:public"}
	byID := map[string]*people.Profile{}
	var all []*people.Profile
	for n := range 40 {
		p := somebody(n + 1)
		for _, a := range p.Attributes {
			at := a.Attribute
			if a.Path != people.UUID && a.Path != people.UserID {
				at.Metadata.Classification, at.Metadata.Display = pick(classes), pick(displays)
			}
			if at.Value.IsNull() && !at.Value.Plural() && r.IntN(2) == 0 {
				at.Value = people.StringValue(pick([]string{"x", `"}{`, "é"}))
			}
			p.Set(a.Path, at)
		}
		if r.IntN(4) == 0 {
			a, _ := p.Find(people.Active)
			a.Value = people.BoolValue(false)
			p.Set(people.Active, a)
		}
		byID[idOf(n+1).String()] = p
		all = append(all, p)
	}
	w := newWorld(t, all...)
	w.snap()
	trials := 50
	if testing.Short() {
		trials = 8
	}
	for range trials {
		var scopes []string
		for _, s := range scopeWords {
			if r.IntN(4) == 0 {
				scopes = append(scopes, s)
			}
		}
		filter := pick([]string{"", "", "public", "authenticated", "vouched", "ndaed", "staff", "private", "bogus"})
		active := pick([]string{"true", "false", "any"})
		var there []string
		for id, p := range byID {
			if active == "any" || (active == "true") == p.Value(people.Active).True() {
				there = append(there, id)
			}
		}
		slices.Sort(there)
		query := "active=" + active + "&filterDisplay=" + filter
		asked := append(slices.Clone(scopes), "search:all")
		check := func(route string, bodies []json.RawMessage) {
			t.Helper()
			var got []string
			for _, b := range bodies {
				id, paths := attributes(t, b)
				if id == "" {
					t.Fatalf("%s: a profile without uuid", route)
				}
				got = append(got, id)
				if want := shown(byID[id], scopes, filter); !slices.Equal(paths, want) {
					t.Fatalf("%s?%s to %v shows %v, want %v", route, query, scopes, paths, want)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, there) {
				t.Fatalf("%s?%s shows %d people, want %d", route, query, len(got), len(there))
			}
		}
		check("/v2/users", body[struct{ Items []json.RawMessage }](t, w.get("/v2/users?"+query, asked...)).Items)
		var bodies []json.RawMessage
		for _, u := range body[struct {
			Users []struct{ Profile json.RawMessage }
		}](t, w.get("/v2/users/id/all/by_attribute_contains?fullProfiles=true&not_staff_information.team=nobody&"+query, asked...)).Users {
			bodies = append(bodies, u.Profile)
		}
		check("by_attribute_contains", bodies)
		lines := strings.Split(strings.TrimSpace(w.get("/v2/users:export?"+query, asked...).Body.String()), "\n")
		bodies = nil
		for _, line := range lines[:len(lines)-1] {
			bodies = append(bodies, json.RawMessage(line))
		}
		check("/v2/users:export", bodies)
		for kind, value := range map[people.Path]func(*people.Profile) string{
			people.UUID: func(p *people.Profile) string { return p.Value(people.UUID).Text() }, people.UserID: func(p *people.Profile) string { return p.Value(people.UserID).Text() },
			people.PrimaryEmail: func(p *people.Profile) string { return p.Value(people.PrimaryEmail).Text() }, people.PrimaryUsername: func(p *people.Profile) string { return p.Value(people.PrimaryUsername).Text() },
		} {
			bodies = nil
			for _, p := range all {
				if b := w.get(fmt.Sprintf("/v2/user/%s/%s?%s", kind, url.PathEscape(value(p)), query), asked...).Body.Bytes(); string(b) != "{}\n" {
					bodies = append(bodies, b)
				}
			}
			check("/v2/user/"+string(kind), bodies)
		}
	}
}

// Memory does not grow with what was asked: a short soak, in which every question
// is another one.
func TestMemoryIsBounded(t *testing.T) {
	w := newWorld(t)
	for n := range 30 {
		w.put(large(n + 1))
	}
	ask := func(from, to int) {
		for i := from; i < to; i++ {
			w.log.Reset()
			w.get(fmt.Sprintf("/v2/user/user_id/nobody%d%s", i, strings.Repeat("x", i%2*1900)))
			w.get(fmt.Sprintf("/v2/user/uuid/%s?filterDisplay=%s&fields=%s", idOf(i%30+1), []string{"public", "staff", "x"}[i%3], cat.Attributes[i%len(cat.Attributes)].Path), full...)
		}
	}
	ask(0, 2000)
	before := heap()
	ask(2000, 12000)
	if after := heap(); after > before+24<<20 {
		t.Errorf("%d MB on the heap after 2,000 questions, %d MB after 12,000", before>>20, after>>20)
	}
}

// heap is what is in use after everything that is not was given back.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
