// Package view decides what of a profile a caller may see: one pure function of
// the profile, the caller's scopes and what they asked for.
//
// An attribute is seen if all three let it through:
//
//  1. its classification: PUBLIC always, each other class by a scope of its own;
//     read:fullprofile lets every class through;
//  2. its display: public always, authenticated, vouched, ndaed and staff each by
//     a scope of its own that adds that level alone, null by display:none;
//     display:all lets every display through, and nothing else lets private;
//  3. the filterDisplay of the request, if it has one: that level and those more
//     public than it, and never null.
//
// What is not seen is absent. The schema and the containers always stay, so that
// clients of CIS v2 that demand them read every answer.
package view

import (
	"slices"

	"example.org/cis/transforms/catalogue"
	"example.org/cis/transforms/people"
)

// The scopes that this package knows.
const (
	FullProfile = "read:fullprofile"
	AllDisplays = "display:all"
)

// classScopes say which scope adds which class.
var classScopes = map[string]string{
	"classification:mozilla_confidential": "MOZILLA CONFIDENTIAL",
	"classification:workgroup:staff_only": "WORKGROUP CONFIDENTIAL: STAFF ONLY",
	"classification:workgroup":            "WORKGROUP CONFIDENTIAL",
	"classification:individual":           "INDIVIDUAL CONFIDENTIAL",
}

// displayScopes say which scope adds which display; "" is null. There is none
// for private.
var displayScopes = map[string]string{
	"display:authenticated": "authenticated",
	"display:vouched":       "vouched",
	"display:ndaed":         "ndaed",
	"display:staff":         "staff",
	"display:none":          "",
}

// A Grant is what the scopes of a caller let them see, narrowed by what they
// asked for. Grants can be compared, and be keys of maps.
type Grant struct {
	classes, displays level
	fullProfile       bool
	allDisplays       bool
	narrowed          bool // by filterDisplay
	upTo              level
}

// A level is a set of classes or displays, a bit each, in the catalogue's order.
type level uint16

func bit(list []string, of string) level {
	i := slices.Index(list, of)
	if i < 0 {
		return 0
	}
	return 1 << i
}

// Of returns what scopes let a caller see.
func Of(scopes []string) Grant {
	g := Grant{classes: bit(classes, "PUBLIC"), displays: bit(displays, "public")}
	for _, s := range scopes {
		switch s {
		case FullProfile:
			g.fullProfile = true
		case AllDisplays:
			g.allDisplays = true
		default:
			if class, ok := classScopes[s]; ok {
				g.classes |= bit(classes, class)
			} else if display, ok := displayScopes[s]; ok {
				g.displays |= bit(displays, display)
			}
		}
	}
	return g
}

var (
	classes  = catalogue.Classifications()
	displays = catalogue.Displays() // from the widest audience to the narrowest, then ""
)

// Narrowed returns the grant with the filterDisplay of a request. A word that is
// no display means public.
func (g Grant) Narrowed(filterDisplay string) Grant {
	g.narrowed = true
	if g.upTo = bit(displays, filterDisplay); g.upTo == 0 || filterDisplay == "" {
		g.upTo = bit(displays, "public")
	}
	return g
}

// Sees reports whether an attribute of that class and display is seen. A class or
// display that is unknown is seen only by whom no filter holds back.
func (g Grant) Sees(class, display string) bool {
	d := bit(displays, display)
	return (g.fullProfile || g.classes&bit(classes, class) != 0) &&
		(g.allDisplays || g.displays&d != 0) &&
		(!g.narrowed || display != "" && d != 0 && d <= g.upTo)
}

// Attribute returns an attribute of a profile if it is seen.
func (g Grant) Attribute(p *people.Profile, path people.Path) (people.Attribute, bool) {
	a, ok := p.Find(path)
	if !ok || !g.Sees(a.Metadata.Classification, a.Metadata.Display) {
		return people.Attribute{}, false
	}
	return a, true
}
