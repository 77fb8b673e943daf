package people

import (
	"strconv"
	"time"
)

// The documents of which there is one a person are appended here, to the same
// bytes that json.Marshal gives after looking at every type anew.

// AppendJSON appends the proposal as JSON.
func (p *Proposal) AppendJSON(b []byte) []byte {
	o := openObject(b)
	o.b = AppendQuoted(o.key("person"), p.Person.text())
	o.b = strconv.AppendInt(o.key("base"), p.Base, 10)
	if p.Operations != nil {
		o.b = appendList(o.key("operations"), p.Operations, (*Operation).appendJSON)
	}
	o.b = p.Evidence.AppendJSON(o.key("evidence"))
	o.flag("noted", p.Noted)
	o.flag("reindex", p.Reindex)
	return o.close()
}

// AppendJSON appends the revision as JSON.
func (r *Revision) AppendJSON(b []byte) []byte {
	o := openObject(b)
	o.b = strconv.AppendInt(o.key("revision"), r.Number, 10)
	o.b = appendTime(o.key("recorded_at"), r.RecordedAt)
	cause := openObject(o.key("cause"))
	cause.text("run", r.Cause.Run)
	cause.b = AppendQuoted(cause.key("door"), r.Cause.Door)
	cause.text("reason", r.Cause.Reason)
	cause.text("by", r.Cause.By)
	o.b = cause.close()
	o.b = appendList(o.key("operations"), r.Operations, (*Operation).appendJSON)
	return o.close()
}

func (p *Operation) appendJSON(b []byte) []byte {
	o := openObject(b)
	o.b = AppendQuoted(o.key("class"), string(p.Class))
	o.b = AppendQuoted(o.key("source"), string(p.Source))
	o.b = appendList(o.key("changes"), p.Changes, (*Change).appendJSON)
	return o.close()
}

func (c *Change) appendJSON(b []byte) []byte {
	o := openObject(b)
	o.b = AppendQuoted(o.key("path"), string(c.Path))
	o.b = c.Old.appendJSON(o.key("old"))
	o.b = c.New.appendJSON(o.key("new"))
	o.b = AppendQuoted(o.key("publisher"), string(c.Publisher))
	o.b = AppendQuoted(o.key("rule"), c.Rule)
	o.text("source", string(c.Source))
	o.time("since", c.Since)
	if c.Signed != nil {
		o.b = c.Signed.AppendJSON(o.key("signed"), true)
	}
	return o.close()
}

func (c *Content) appendJSON(b []byte) []byte {
	o := openObject(b)
	o.b = c.Value.appendAlone(o.key("value"))
	o.text("display", c.Display)
	o.b = strconv.AppendBool(o.key("verified"), c.Verified)
	return o.close()
}

// AppendJSON appends the evidence as JSON.
func (e *Evidence) AppendJSON(b []byte) []byte {
	o := openObject(b)
	if e.Observations != nil {
		o.b = appendList(o.key("observations"), e.Observations, (*Observation).AppendJSON)
	}
	if e.Former != nil {
		o.b = appendList(o.key("former"), e.Former, func(s *string, b []byte) []byte { return AppendQuoted(b, *s) })
	}
	if e.Cleared != nil {
		o.b = appendList(o.key("cleared"), e.Cleared, (*Cleared).appendJSON)
	}
	return o.close()
}

func (c *Cleared) appendJSON(b []byte) []byte {
	o := openObject(b)
	o.b = AppendQuoted(o.key("path"), string(c.Path))
	o.b = AppendQuoted(o.key("publisher"), string(c.Publisher))
	o.b = appendTime(o.key("at"), c.At)
	return o.close()
}

// AppendJSON appends the observation as JSON.
func (p *Observation) AppendJSON(b []byte) []byte {
	o := openObject(b)
	o.b = AppendQuoted(o.key("publisher"), string(p.Publisher))
	o.b = AppendQuoted(o.key("record"), p.Record)
	if p.Keys != nil {
		o.b = appendList(o.key("keys"), p.Keys, (*Key).appendJSON)
	}
	o.b = AppendQuoted(o.key("lifecycle"), string(p.Lifecycle))
	if p.Claims != nil {
		o.b = appendList(o.key("claims"), p.Claims, (*Claim).appendJSON)
	}
	o.time("seen_at", p.SeenAt)
	o.text("place", p.Place)
	return o.close()
}

func (k *Key) appendJSON(b []byte) []byte {
	o := openObject(b)
	o.b = AppendQuoted(o.key("scheme"), string(k.Scheme))
	o.b = AppendQuoted(o.key("value"), k.Value)
	return o.close()
}

func (c *Claim) appendJSON(b []byte) []byte {
	o := openObject(b)
	o.b = AppendQuoted(o.key("path"), string(c.Path))
	o.flag("empty", c.Empty)
	o.b = c.Value.appendAlone(o.key("value"))
	o.text("display", c.Display)
	o.flag("unverified", c.Unverified)
	if c.Signed != nil {
		o.b = c.Signed.AppendJSON(o.key("signed"), true)
	}
	o.time("since", c.Since)
	return o.close()
}

// An object is JSON that is being appended to b.
type object struct {
	b     []byte
	empty bool
}

func openObject(b []byte) object { return object{append(b, '{'), true} }

// key appends a name, which needs no escapes, and returns b for the value.
func (o *object) key(name string) []byte {
	if !o.empty {
		o.b = append(o.b, ',')
	}
	o.empty = false
	return append(append(append(o.b, '"'), name...), '"', ':')
}

// text, flag and time append what is not zero.
func (o *object) text(name, s string) {
	if s != "" {
		o.b = AppendQuoted(o.key(name), s)
	}
}

func (o *object) flag(name string, set bool) {
	if set {
		o.b = append(o.key(name), "true"...)
	}
}

func (o *object) time(name string, t time.Time) {
	if !t.IsZero() {
		o.b = appendTime(o.key(name), t)
	}
}

func (o *object) close() []byte { return append(o.b, '}') }

func appendTime(b []byte, t time.Time) []byte {
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}

func appendList[T any](b []byte, list []T, one func(*T, []byte) []byte) []byte {
	b = append(b, '[')
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = one(&list[i], b)
	}
	return append(b, ']')
}
