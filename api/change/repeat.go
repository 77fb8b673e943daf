package change

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.org/cis/api"
	"example.org/cis/sinks"
)

// kindAnswer are the answers that are kept for requests that are repeated.
const kindAnswer = "answer"

const (
	keepAnswers = 24 * time.Hour
	// A request that has no answer after this time has died.
	longestRequest = 2 * time.Minute
	maxKey         = 255
	// Whoever keeps one answer looks at so many others, from a place chosen at
	// random, and drops those that have expired: so there are never many more
	// than those of a day.
	looksAt = 8
	// A longer answer is kept without what became of each attribute, and if it must
	// be, with the first of those that were refused only.
	maxKept        = 64 << 10
	maxKeptRefused = 300
)

// An answer is what is kept of a request: no value of it, and nothing that says
// whom it was about but the sequence numbers.
type answer struct {
	// Request is a keyed hash of what was asked.
	Request string    `json:"request"`
	At      time.Time `json:"at"`
	// Status is 0 until it is answered.
	Status int            `json:"status,omitzero"`
	Body   jsontext.Value `json:"body,omitzero"`
	// Code and Description are those of an error.
	Code        string `json:"code,omitzero"`
	Description string `json:"description,omitzero"`
}

// repeatable answers a request, with what was answered before if it has been
// asked before. What only asks may be asked as often as one likes, and nothing is
// kept of it.
func (f *face) repeatable(w http.ResponseWriter, r *http.Request, body []byte, keeps bool, do func() (any, error)) error {
	key := r.Header.Get("Idempotency-Key")
	if key == "" || !keeps {
		v, err := do()
		if err != nil {
			return err
		}
		return api.JSON(w, http.StatusOK, v)
	}
	if len(key) > maxKey {
		return api.Bad("Idempotency-Key is too long")
	}
	ctx, c := r.Context(), api.CallerOf(r.Context())
	mine := answer{At: f.Now().UTC(), Request: hex.EncodeToString(f.mac("request", r.URL.Path, r.URL.Query().Encode(), r.Header.Get("Prefer"), string(body)))}
	doc, err := f.Ledger.Doc(ctx, kindAnswer, hex.EncodeToString(f.mac("answer", c.Issuer, c.Subject, key)))
	switch {
	case errors.Is(err, sinks.ErrNotFound):
		doc = sinks.Doc{Kind: kindAnswer, Key: hex.EncodeToString(f.mac("answer", c.Issuer, c.Subject, key))}
	case err != nil:
		return fmt.Errorf("change: read an answer: %w", err)
	default:
		var was answer
		if err := json.Unmarshal(doc.Body, &was); err != nil {
			return fmt.Errorf("change: an answer: %w", err)
		}
		age := mine.At.Sub(was.At)
		switch {
		case age >= keepAnswers, was.Status == 0 && age >= longestRequest: // as if it were not there
		case was.Request != mine.Request:
			return &api.Error{Status: http.StatusUnprocessableEntity, Code: "idempotency_key_reused", Description: "the Idempotency-Key was of another request"}
		case was.Status == 0:
			return busy()
		case was.Code != "":
			return &api.Error{Status: was.Status, Code: was.Code, Description: was.Description}
		default:
			return api.Body(w, was.Status, "application/json", append(was.Body, '\n'))
		}
	}
	if doc.Version, err = f.put(r, doc, mine); errors.Is(err, sinks.ErrConflict) {
		return busy()
	} else if err != nil {
		return fmt.Errorf("change: note a request: %w", err)
	}
	v, err := do()
	if refused, ok := errors.AsType[*api.Error](err); ok && refused.Status < http.StatusInternalServerError {
		mine.Status, mine.Code, mine.Description = refused.Status, refused.Code, refused.Description
	} else if err == nil {
		mine.Status = http.StatusOK
		if mine.Body, err = shortened(v); err != nil {
			return err
		}
	}
	f.keep(r, doc, mine)
	if err != nil {
		return err
	}
	return api.JSON(w, http.StatusOK, v)
}

// shortened is an answer as it is kept.
func shortened(v any) (b jsontext.Value, err error) {
	for _, shorter := range []func(*extra){
		func(*extra) {},
		func(x *extra) { x.Attributes = nil },
		func(x *extra) { x.Refused = x.Refused[:min(len(x.Refused), maxKeptRefused)] },
	} {
		switch a := v.(type) {
		case oneAnswer:
			shorter(&a.extra)
			v = a
		case listAnswer:
			shorter(&a.extra)
			v = a
		}
		if b, err = json.Marshal(v, json.Deterministic(true), jsontext.EscapeForHTML(true)); err != nil || len(b) <= maxKept {
			return b, err
		}
	}
	return b, nil
}

func busy() error {
	return &api.Error{Status: http.StatusConflict, Code: "idempotency_key_in_use", Description: "a request with the same Idempotency-Key has not been answered yet"}
}

func (f *face) put(r *http.Request, doc sinks.Doc, a answer) (version int64, err error) {
	if doc.Body, err = json.Marshal(a, json.Deterministic(true)); err != nil {
		return 0, err
	}
	return f.Ledger.Put(r.Context(), doc)
}

// keep keeps an answer, or drops the note of a request that has none. The
// request is answered whether that succeeds or not: what it did is done.
func (f *face) keep(r *http.Request, doc sinks.Doc, a answer) {
	ctx := context.WithoutCancel(r.Context()) // whoever has gone asks again
	r = r.WithContext(ctx)
	var err error
	if a.Status != 0 {
		_, err = f.put(r, doc, a)
	}
	if a.Status == 0 || err != nil {
		err = errors.Join(err, f.Ledger.Remove(ctx, doc))
	}
	var from [8]byte
	if _, random := io.ReadFull(f.Random, from[:]); random != nil {
		err = errors.Join(err, random)
	}
	docs, list := f.Ledger.Docs(ctx, kindAnswer, hex.EncodeToString(from[:]), looksAt)
	err = errors.Join(err, list)
	for _, d := range docs {
		var old answer
		if json.Unmarshal(d.Body, &old) == nil && f.Now().Sub(old.At) >= keepAnswers {
			if gone := f.Ledger.Remove(ctx, d); !errors.Is(gone, sinks.ErrConflict) {
				err = errors.Join(err, gone)
			}
		}
	}
	if err != nil {
		f.Log.WarnContext(ctx, "an answer could not be kept", "error", err)
	}
}
