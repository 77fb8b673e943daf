package github

import (
	"context"
	"maps"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"
)

const (
	// memoryVersion changes whenever what is kept has another form or would
	// be read otherwise.
	memoryVersion = 1
	// maxMemory bounds what is kept, uncompressed. An account takes some 60
	// bytes a list, and some 150 with its details.
	maxMemory = 64 << 20
)

// A page is one answer, as much of it as is mapped.
type page struct {
	ETag string `json:"etag,omitzero"`
	// Next is the URL of the next page, "" for none: an answer that nothing
	// changed does not repeat it.
	Next string `json:"next,omitzero"`
	// Size is that of the answer.
	Size  int64  `json:"size"`
	Items []item `json:"items,omitzero"`
}

// An item is an account, a team, a membership or an organisation: what is
// mapped of it.
type item struct {
	ID     int64  `json:"id,omitzero"`
	Login  string `json:"login,omitzero"`
	NodeID string `json:"node_id,omitzero"`
	Email  string `json:"email,omitzero"`
	Role   string `json:"role,omitzero"`
	State  string `json:"state,omitzero"`
	Slug   string `json:"slug,omitzero"`
	Parent string `json:"parent,omitzero"`
	// Aside is why the item cannot be taken.
	Aside string `json:"aside,omitzero"`
}

func (p *page) same(q *page) bool {
	return p.Next == q.Next && reflect.DeepEqual(p.Items, q.Items)
}

// kept is what a source's Memory holds.
type kept struct {
	Version int              `json:"version"`
	Pages   map[string]*page `json:"pages"` // by URL
}

// nothing remembers nothing.
type nothing struct{}

func (nothing) Load(context.Context) ([]byte, error) { return nil, nil }
func (nothing) Save(context.Context, []byte) error   { return nil }

// recall returns the pages that were kept. What cannot be read costs requests
// and nothing else.
func (s *Source) recall(ctx context.Context) map[string]*page {
	b, err := s.opts.Memory.Load(ctx)
	if err != nil {
		s.opts.Note("what the last extract kept cannot be read: everything is asked for anew")
	}
	var k kept
	if b, err = unpack(b); err != nil || json.Unmarshal(b, &k) != nil || k.Version != memoryVersion {
		k.Pages = nil
	}
	maps.DeleteFunc(k.Pages, func(_ string, p *page) bool { return p == nil })
	if k.Pages == nil {
		k.Pages = map[string]*page{}
	}
	return k.Pages
}

// keep saves pages for the next extract, as many as there is room for.
func (s *Source) keep(ctx context.Context, pages map[string]*page) {
	k := kept{memoryVersion, make(map[string]*page, len(pages))}
	room := maxMemory
	for _, u := range slices.Sorted(maps.Keys(pages)) {
		b, err := json.Marshal(pages[u])
		if err != nil {
			continue // text that is not Unicode; such pages are rare
		}
		if room -= len(u) + len(b) + 16; room < 0 {
			break
		}
		k.Pages[u] = pages[u]
	}
	b, err := json.Marshal(k, json.Deterministic(true))
	if err == nil {
		err = s.opts.Memory.Save(ctx, pack(b))
	}
	if err != nil && ctx.Err() == nil {
		s.opts.Note("what was read cannot be kept: the next extract asks for everything anew")
	}
}

func pack(b []byte) []byte {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err) // the options are right
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}

func unpack(b []byte) ([]byte, error) {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*maxMemory))
	if err != nil {
		panic(err) // the options are right
	}
	defer r.Close()
	return r.DecodeAll(b, nil)
}
