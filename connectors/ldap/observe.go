package ldap

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"example.org/cis/transforms/people"
)

// maxValue bounds one value, in bytes.
const maxValue = 64 << 10

// An entry is one entry of a directory, however it was read.
type entry struct {
	dn    string
	place string // where a human finds it
	// values are by lower-case attribute name; values with options
	// (cn;lang-de) are other attributes (RFC 4512 section 2.5) and left out.
	values map[string][]string
	bytes  int64
	// fault says why the entry could not be read; values then holds what
	// could be, and lost the names of attributes that could not, "" for those
	// of which not even the name.
	fault string
	lost  []string
}

// An observer is the pure step from an entry to an observation.
type observer struct {
	source     string
	host       bool // read from a server, where every entry has an entryUUID
	connection string
	method     string
	uid        string // the attribute that makes the user_id
	staff      []name
	rules      []Rule // sorted by To, otherwise in the order of the configuration
}

func newObserver(c Config) (*observer, error) {
	staff, err := parseNames(c.StaffRDNs)
	if err != nil {
		return nil, err
	}
	rules := slices.Clone(c.Mapping)
	slices.SortStableFunc(rules, func(a, b Rule) int { return strings.Compare(string(a.To), string(b.To)) })
	uid := c.Mapping[slices.IndexFunc(c.Mapping, func(r Rule) bool { return r.Form == formUserID })].From
	return &observer{
		source: c.Name, uid: uid, host: c.URL != "", connection: c.Connection,
		method: strings.Split(c.Connection, "|")[1], staff: staff, rules: rules,
	}, nil
}

// observe maps an entry. If the record as a whole is set aside, ok is false
// and the one rejection says why; otherwise the rejections are of attributes.
func (o *observer) observe(e *entry, groups *groups) (obs people.Observation, aside []people.Rejection, ok bool) {
	record, n, fault := o.identify(e)
	reject := func(stage string, attribute people.Path, reason string) {
		aside = append(aside, people.Rejection{
			Source: o.source, Publisher: people.LDAP, Stage: stage, Record: record, Place: e.place, Attribute: attribute, Reason: reason,
		})
	}
	if e.fault != "" {
		reject("read", "", e.fault)
		return people.Observation{}, aside, false
	}
	if fault != "" {
		reject("observe", "", fault)
		return people.Observation{}, aside, false
	}
	branch := "private"
	if slices.ContainsFunc(o.staff, func(s name) bool { return slices.Contains(n.rdns, s.rdns[0]) }) {
		branch = "staff"
	}
	obs = people.Observation{
		Publisher: people.LDAP, Record: record, Lifecycle: people.Present, Place: e.place,
		Keys: []people.Key{{Scheme: people.ByRecord(people.LDAP), Value: record}},
		Claims: []people.Claim{
			// The catalogue allows no display of active.
			{Path: people.Active, Value: people.BoolValue(true)},
			{Path: "login_method", Value: people.StringValue(o.method), Display: branch},
		},
	}
	uid := ""
	if values, _ := texts(e, o.uid); len(values) > 0 {
		uid = choose(values, n, o.uid)
	}
	for i := 0; i < len(o.rules); {
		r := o.rules[i]
		claim := people.Claim{Path: r.To, Display: cmp.Or(r.Display, branch)}
		if r.Display == "none" {
			claim.Display = ""
		}
		var entries []people.Entry
		var fault string
		silent := false
		for ; i < len(o.rules) && o.rules[i].To == r.To; i++ {
			r := o.rules[i]
			if r.Form == formGroups {
				names, known := groups.of(n, uid, e.values["memberof"])
				silent = silent || !known
				for _, cn := range names {
					entries = append(entries, people.Entry{Key: cn, Null: true})
				}
				continue
			}
			values, bad := texts(e, r.From)
			if bad == "" {
				bad = o.claim(r, values, n, &obs, &claim, &entries)
			}
			if bad != "" && (r.Form == formUserID || r.Form == formEmail) {
				reject("observe", "", bad)
				return people.Observation{}, aside, false
			}
			fault = cmp.Or(fault, bad)
		}
		if entries != nil {
			claim.Value = people.MapValue(entries...)
		}
		switch {
		case fault != "":
			reject("observe", r.To, fault)
		case silent:
		case !claim.Value.IsNull():
			obs.Claims = append(obs.Claims, claim)
		case r.Absent == "empty":
			claim.Empty, claim.Value = true, people.NullValue(r.plural())
			obs.Claims = append(obs.Claims, claim)
		}
	}
	obs.Sort()
	return obs, aside, true
}

// claim applies one rule to the values of its attribute: keys go to obs, a
// single value to c, parts of a map to entries. It returns what is wrong.
func (o *observer) claim(r Rule, values []string, n name, obs *people.Observation, c *people.Claim, entries *[]people.Entry) string {
	one := choose(values, n, r.From)
	switch r.Form {
	case formUserID:
		switch {
		case one == "":
			return r.From + " is missing"
		case len(values) > 1 && !named(one, n, r.From):
			return r.From + " has several values, and none of them names the entry"
		case !usableUID(one):
			return r.From + " is not usable in a user_id"
		}
		c.Value = people.StringValue(o.connection + one)
		obs.Keys = append(obs.Keys,
			people.Key{Scheme: people.ByUserID, Value: o.connection + one}, people.Key{Scheme: people.ByPosixID, Value: one})
	case formEmail:
		if one == "" {
			return ""
		}
		if !usableEmail(one) {
			return r.From + " is no address"
		}
		c.Value = people.StringValue(one)
		obs.Keys = append(obs.Keys, people.Key{Scheme: people.ByEmail, Value: strings.ToLower(one)})
	case formText:
		if one != "" {
			c.Value = people.StringValue(one)
		}
	case formTime:
		if one == "" {
			return ""
		}
		at, err := parseTime(one)
		if err != nil {
			return r.From + " is no GeneralizedTime"
		}
		c.Value = people.StringValue(at.UTC().Format(people.TimeFormat))
	case formEntry:
		if one != "" {
			*entries = append(*entries, people.Entry{Key: r.Key, Value: one})
		}
	case formPGP:
		for i, v := range values {
			v = strings.Join(strings.Fields(v), "")
			if len(v) > 2 && strings.EqualFold(v[:2], "0x") {
				v = v[2:]
			}
			values[i] = v
		}
		values = set(values)
		fallthrough
	case formList:
		for i, v := range values {
			*entries = append(*entries, people.Entry{Key: r.Key + "-" + strconv.Itoa(i+1), Value: v})
		}
	}
	return ""
}

// texts returns the values of an attribute as a set: trimmed, without empty
// ones, sorted and unique. The fault is of a value that cannot be right.
func texts(e *entry, attribute string) (values []string, fault string) {
	raw := e.values[strings.ToLower(attribute)]
	if strings.EqualFold(attribute, "dn") {
		raw = []string{e.dn}
	}
	for _, v := range raw {
		switch {
		case len(v) > maxValue:
			return nil, fmt.Sprintf("%s: a value is longer than %d bytes", attribute, maxValue)
		case !utf8.ValidString(v):
			return nil, attribute + ": a value is not UTF-8"
		case strings.ContainsRune(v, 0):
			return nil, attribute + ": a value holds a NUL"
		}
		values = append(values, strings.TrimSpace(v))
	}
	return set(values), ""
}

// set sorts values and removes empty ones and repetitions.
func set(values []string) []string {
	values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
	slices.Sort(values)
	return slices.Compact(values)
}

// choose returns the one value that counts where only one can: the one that
// names the entry, else the first; "" of none.
func choose(values []string, n name, attribute string) string {
	for _, v := range values {
		if named(v, n, attribute) {
			return v
		}
	}
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// named reports whether the value stands in the entry's own RDN.
func named(value string, n name, attribute string) bool {
	for _, a := range n.first {
		if strings.EqualFold(a.Type, attribute) && fold(a.Value) == fold(value) {
			return true
		}
	}
	return false
}

// usableUID reports whether a uid can stand in a user_id, which holds its
// parts together with bars.
func usableUID(uid string) bool {
	return len(uid) <= 256 && !strings.ContainsFunc(uid, func(r rune) bool {
		return r == '|' || unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
}

// usableEmail asks for what is needed to use an address as a key: one line
// without spaces, something on both sides of its last @.
func usableEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && at < len(s)-1 && len(s) <= 320 && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
}

// parseTime reads a GeneralizedTime: hours at least, an optional fraction,
// and a zone.
func parseTime(s string) (time.Time, error) {
	s = strings.Replace(s, ",", ".", 1)
	var err error
	for _, layout := range []string{"20060102150405Z0700", "200601021504Z0700", "2006010215Z0700", "20060102150405Z07", "200601021504Z07", "2006010215Z07"} {
		var t time.Time
		if t, err = time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, err
}

// identify returns the id of an entry, "" if it has none, with its name.
func (o *observer) identify(e *entry) (record string, n name, fault string) {
	n, err := parseName(e.dn)
	if err != nil || len(n.rdns) == 0 {
		return "", name{}, "dn cannot be parsed"
	}
	switch ids := e.values["entryuuid"]; {
	case len(ids) == 1:
		id, err := people.ParseID(strings.ToLower(ids[0]))
		if err != nil {
			return "", n, "entryUUID is no uuid"
		}
		return id.String(), n, ""
	case len(ids) > 1:
		return "", n, "entryUUID has several values"
	case o.host:
		return "", n, "entryUUID is missing"
	case slices.Contains(e.lost, "entryuuid"):
		return "", n, ""
	}
	return n.String(), n, ""
}
