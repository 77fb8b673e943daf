package merge

import "example.org/cis/transforms/people"

// Incoming puts a profile that somebody sent into the stored one, attribute by
// attribute, by the rule of the profile's contract: an incoming attribute
// replaces the stored one whole, signature included, when its value is not
// null and value, display or verified differ. A null clears nothing, and a
// difference in dates, classification or signature alone is no change.
//
// It judges nobody's authority and verifies no signature: whoever calls it does
// so for the paths in changed, which are sorted. Neither profile is changed; a
// nil stored is a profile without attributes.
func Incoming(stored, incoming *people.Profile) (merged *people.Profile, changed []people.Path) {
	if stored == nil {
		stored = &people.Profile{Schema: incoming.Schema}
	}
	merged = stored.Clone()
	for _, n := range incoming.Attributes {
		if n.Value.IsNull() {
			continue
		}
		if was, ok := stored.Find(n.Path); ok && was.SameContent(n.Attribute) {
			continue
		}
		merged.Set(n.Path, n.Attribute)
		changed = append(changed, n.Path)
	}
	return merged, changed
}
