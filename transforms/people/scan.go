package people

import (
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The documents of which there is one a person are read here. What AppendJSON
// wrote is taken as it stands, key by key; whatever looks otherwise (a foreign
// signature, another order, spaces) is left to json.Unmarshal.

// ParseProposal reads a proposal.
func ParseProposal(b []byte) (Proposal, error) { return parse(b, (*scanner).proposal) }

// ParseEvidence reads evidence.
func ParseEvidence(b []byte) (Evidence, error) { return parse(b, (*scanner).evidence) }

// ParseObservation reads an observation.
func ParseObservation(b []byte) (Observation, error) { return parse(b, (*scanner).observation) }

func parse[T any](b []byte, read func(*scanner, *T)) (v T, err error) {
	s := scanner{rest: string(b)} // one copy, of which all texts are parts
	if read(&s, &v); s.bad || s.rest != "" && s.rest != "\n" {
		v = *new(T)
		err = json.Unmarshal(b, &v)
	}
	return v, err
}

// A scanner takes what it is asked for off the rest of a document. Once
// something else stands there it is bad, and what it returned means nothing.
type scanner struct {
	rest  string
	bad   bool
	begun bool // the object at hand has a key already
	// The time read last: most times in a document are the same.
	text string
	time time.Time
}

func (s *scanner) proposal(p *Proposal) {
	s.open()
	s.must(`"person":`)
	s.bad = p.Person.UnmarshalText([]byte(s.string())) != nil || s.bad
	s.must(`"base":`)
	p.Base = s.integer()
	if s.may(`"operations":`) {
		p.Operations = scanList(s, (*scanner).operation)
	}
	s.must(`"evidence":`)
	s.evidence(&p.Evidence)
	p.Noted = s.may(`"noted":true`)
	p.Reindex = s.may(`"reindex":true`)
	s.close()
}

func (s *scanner) operation(o *Operation) {
	s.open()
	s.must(`"class":`)
	o.Class = Class(s.string())
	s.must(`"source":`)
	o.Source = Publisher(s.string())
	s.must(`"changes":`)
	o.Changes = scanList(s, (*scanner).change)
	s.close()
}

func (s *scanner) change(c *Change) {
	s.open()
	s.must(`"path":`)
	c.Path = Path(s.string())
	s.must(`"old":`)
	s.content(&c.Old)
	s.must(`"new":`)
	s.content(&c.New)
	s.must(`"publisher":`)
	c.Publisher = Publisher(s.string())
	s.must(`"rule":`)
	c.Rule = s.string()
	if s.may(`"source":`) {
		c.Source = Publisher(s.string())
	}
	if s.may(`"since":`) {
		c.Since = s.moment()
	}
	s.close()
}

func (s *scanner) content(c *Content) {
	s.open()
	s.must(`"value":`)
	c.Value = s.value()
	if s.may(`"display":`) {
		c.Display = s.string()
	}
	if c.Verified = s.may(`"verified":true`); !c.Verified {
		s.must(`"verified":false`)
	}
	s.close()
}

func (s *scanner) evidence(e *Evidence) {
	s.open()
	if s.may(`"observations":`) {
		e.Observations = scanList(s, (*scanner).observation)
	}
	if s.may(`"former":`) {
		e.Former = scanList(s, func(s *scanner, id *string) { *id = s.string() })
	}
	if s.may(`"cleared":`) {
		e.Cleared = scanList(s, (*scanner).cleared)
	}
	s.close()
}

func (s *scanner) cleared(c *Cleared) {
	s.open()
	s.must(`"path":`)
	c.Path = Path(s.string())
	s.must(`"publisher":`)
	c.Publisher = Publisher(s.string())
	s.must(`"at":`)
	c.At = s.moment()
	s.close()
}

func (s *scanner) observation(o *Observation) {
	s.open()
	s.must(`"publisher":`)
	o.Publisher = Publisher(s.string())
	s.must(`"record":`)
	o.Record = s.string()
	if s.may(`"keys":`) {
		o.Keys = scanList(s, (*scanner).key)
	}
	s.must(`"lifecycle":`)
	o.Lifecycle = Lifecycle(s.string())
	if s.may(`"claims":`) {
		o.Claims = scanList(s, (*scanner).claim)
	}
	if s.may(`"seen_at":`) {
		o.SeenAt = s.moment()
	}
	if s.may(`"place":`) {
		o.Place = s.string()
	}
	s.close()
}

func (s *scanner) key(k *Key) {
	s.open()
	s.must(`"scheme":`)
	k.Scheme = Scheme(s.string())
	s.must(`"value":`)
	k.Value = s.string()
	s.close()
}

func (s *scanner) claim(c *Claim) {
	s.open()
	s.must(`"path":`)
	c.Path = Path(s.string())
	c.Empty = s.may(`"empty":true`)
	s.must(`"value":`)
	c.Value = s.value()
	if s.may(`"display":`) {
		c.Display = s.string()
	}
	c.Unverified = s.may(`"unverified":true`)
	if s.may(`"since":`) {
		c.Since = s.moment()
	}
	s.close()
}

// value reads what Value.appendAlone wrote.
func (s *scanner) value() Value {
	switch {
	case s.skip("null"):
		return NullValue(false)
	case s.skip("[]"):
		return NullValue(true)
	case s.skip("true"):
		return BoolValue(true)
	case s.skip("false"):
		return BoolValue(false)
	case !strings.HasPrefix(s.rest, "{"):
		return StringValue(s.string())
	}
	v := Value{kind: Map, plural: true}
	s.skip("{")
	for !s.bad && !s.skip("}") {
		if len(v.entries) > 0 {
			s.need(",")
		}
		e := Entry{Key: s.string()}
		s.need(":")
		if e.Null = s.skip("null"); !e.Null {
			e.Value = s.string()
		}
		if n := len(v.entries); n > 0 && compareKeys(v.entries[n-1].Key, e.Key) >= 0 {
			s.bad = true
		}
		v.entries = append(v.entries, e)
	}
	return v
}

func (s *scanner) moment() time.Time {
	if text := s.string(); text != s.text || text == "" {
		s.text = text
		err := s.time.UnmarshalText([]byte(text)) // takes more forms than are written
		s.bad = err != nil || s.time.Format(time.RFC3339Nano) != text || s.bad
	}
	return s.time
}

func (s *scanner) integer() int64 {
	n := 0
	for n < len(s.rest) && (s.rest[n] >= '0' && s.rest[n] <= '9' || s.rest[n] == '-') {
		n++
	}
	i, err := strconv.ParseInt(s.rest[:n], 10, 64)
	s.bad = s.bad || err != nil || strconv.FormatInt(i, 10) != s.rest[:n]
	s.rest = s.rest[n:]
	return i
}

func (s *scanner) string() string {
	quoted := s.rest
	s.need(`"`)
	end := strings.IndexByte(s.rest, '"')
	for end >= 0 && escaped(s.rest[:end]) {
		next := strings.IndexByte(s.rest[end+1:], '"')
		if next < 0 {
			end = -1
			break
		}
		end += 1 + next
	}
	if end < 0 || s.bad {
		s.bad = true
		return ""
	}
	text := s.rest[:end]
	s.rest = s.rest[end+1:]
	if isPlain(text) {
		return text
	}
	b, err := jsontext.AppendUnquote(nil, quoted[:end+2])
	s.bad = err != nil
	return string(b)
}

// escaped reports whether an odd number of backslashes ends text.
func escaped(text string) bool {
	return strings.HasSuffix(text, `\`) && (len(text)-len(strings.TrimRight(text, `\`)))%2 == 1
}

func (s *scanner) open() {
	s.need("{")
	s.begun = false
}

func (s *scanner) close() {
	s.need("}")
	s.begun = true
}

// may takes a key, and what else is in the literal, if it comes next.
func (s *scanner) may(literal string) bool {
	rest := s.rest
	if s.begun {
		var ok bool
		if rest, ok = strings.CutPrefix(rest, ","); !ok {
			return false
		}
	}
	rest, ok := strings.CutPrefix(rest, literal)
	if ok {
		s.rest, s.begun = rest, true
	}
	return ok
}

func (s *scanner) must(literal string) { s.bad = !s.may(literal) || s.bad }

func (s *scanner) skip(literal string) bool {
	rest, ok := strings.CutPrefix(s.rest, literal)
	s.rest = rest
	return ok
}

func (s *scanner) need(literal string) { s.bad = !s.skip(literal) || s.bad }

func scanList[T any](s *scanner, one func(*scanner, *T)) []T {
	list := []T{}
	s.need("[")
	for !s.bad && !s.skip("]") {
		if len(list) > 0 {
			s.need(",")
		}
		list = append(list, *new(T))
		one(s, &list[len(list)-1])
	}
	return list
}
