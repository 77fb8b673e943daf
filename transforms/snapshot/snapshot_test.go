package snapshot_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"example.org/cis/transforms/people"
	"example.org/cis/transforms/snapshot"
)

func array[T ~[16]byte | ~[32]byte](n int) *rapid.Generator[T] {
	return rapid.Custom(func(t *rapid.T) (a T) {
		// Few different first bytes, so that keys meet.
		b := rapid.SliceOfN(rapid.ByteRange(0, 9), n, n).Draw(t, "bytes")
		for i := range n {
			a[i] = b[i]
		}
		return a
	})
}

func rows() *rapid.Generator[[]snapshot.Row] {
	row := rapid.Custom(func(t *rapid.T) snapshot.Row {
		return snapshot.Row{ID: people.ID{rapid.ByteRange(0, 20).Draw(t, "id")}, Revision: rapid.Int64Min(0).Draw(t, "revision"),
			Content: array[snapshot.Digest](32).Draw(t, "content"), Exact: array[snapshot.Digest](32).Draw(t, "exact"), Active: rapid.Bool().Draw(t, "active"),
			Segment: rapid.Uint32().Draw(t, "segment"), Offset: rapid.Uint64().Draw(t, "offset"), Length: rapid.Uint32().Draw(t, "length"),
			UserID: array[snapshot.Short](16).Draw(t, "user id"), GitHub: array[snapshot.Short](16).Draw(t, "github"), Again: rapid.Bool().Draw(t, "again")}
	})
	return rapid.SliceOfNDistinct(row, 0, 12, func(r snapshot.Row) people.ID { return r.ID })
}

func records() *rapid.Generator[[]snapshot.Record] {
	record := rapid.Custom(func(t *rapid.T) snapshot.Record {
		return snapshot.Record{Key: array[snapshot.Short](16).Draw(t, "key"), Person: array[people.ID](16).Draw(t, "person"), Hash: array[snapshot.Digest](32).Draw(t, "hash"),
			UserID: array[snapshot.Short](16).Draw(t, "user id"), Email: array[snapshot.Short](16).Draw(t, "email"),
			State:  rapid.SampledFrom([]snapshot.State{snapshot.Present, snapshot.Missing, snapshot.Gone}).Draw(t, "state"),
			NotYet: rapid.Bool().Draw(t, "not yet"), Regressed: rapid.Bool().Draw(t, "regressed"),
			Since: rapid.Int64().Draw(t, "since"), Due: rapid.Int64().Draw(t, "due"),
			Offset: rapid.Uint64().Draw(t, "offset"), Length: rapid.Uint32().Draw(t, "length"),
			GitHub: array[snapshot.Short](16).Draw(t, "github"), SaysGitHub: rapid.Bool().Draw(t, "says github"), Spare: rapid.Bool().Draw(t, "spare"), Again: rapid.Bool().Draw(t, "again")}
	})
	return rapid.SliceOfNDistinct(record, 0, 12, func(r snapshot.Record) snapshot.Short { return r.Key })
}

func byID(a, b snapshot.Row) int     { return bytes.Compare(a.ID[:], b.ID[:]) }
func byKey(a, b snapshot.Record) int { return bytes.Compare(a.Key[:], b.Key[:]) }

func TestRowsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		given := rows().Draw(t, "rows")
		want := slices.SortedFunc(slices.Values(given), byID)
		table, err := snapshot.ParseRows(snapshot.NewRows(given).Encode())
		if err != nil || table.Len() != len(want) {
			t.Fatalf("%d rows, %v; want %d", table.Len(), err, len(want))
		}
		active := int64(0)
		for i, r := range want {
			if table.At(i) != r {
				t.Fatalf("row %d is %v, want %v", i, table.At(i), r)
			}
			if got, ok := table.Find(r.ID); !ok || got != r {
				t.Fatalf("found %v, %v; want %v", got, ok, r)
			}
			if r.Active {
				active++
			}
		}
		if table.Active() != active {
			t.Errorf("%d active, want %d", table.Active(), active)
		}
		for b := range byte(22) {
			_, ok := table.Find(people.ID{b})
			if want := slices.ContainsFunc(want, func(r snapshot.Row) bool { return r.ID == people.ID{b} }); ok != want {
				t.Errorf("%d: found is %v, want %v", b, ok, want)
			}
		}
		if _, ok := table.Find(people.ID{3, 1}); ok {
			t.Error("found who is not there")
		}
	})
}

func TestRecordsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		given := records().Draw(t, "records")
		want := slices.SortedFunc(slices.Values(given), byKey)
		table, err := snapshot.ParseRecords(snapshot.NewRecords(given).Encode())
		if err != nil || table.Len() != len(want) {
			t.Fatalf("%d records, %v; want %d", table.Len(), err, len(want))
		}
		for i, r := range want {
			if table.At(i) != r {
				t.Fatalf("record %d is %v, want %v", i, table.At(i), r)
			}
			if got, ok := table.Find(r.Key); !ok || got != r {
				t.Fatalf("found %v, %v; want %v", got, ok, r)
			}
		}
		if _, ok := table.Find(snapshot.Short{255}); ok {
			t.Error("found what is not there")
		}
	})
}

// A patched table is the one that would be made anew of everybody.
func TestPatchIsRebuild(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, changed := rows().Draw(t, "before"), slices.SortedFunc(slices.Values(rows().Draw(t, "changed")), byID)
		all := map[people.ID]snapshot.Row{}
		for _, r := range slices.Concat(before, changed) {
			all[r.ID] = r
		}
		var list []snapshot.Row
		for _, r := range all {
			list = append(list, r)
		}
		old := snapshot.NewRows(before)
		was := old.Encode()
		got, want := old.Patch(changed).Encode(), snapshot.NewRows(list).Encode()
		if !bytes.Equal(got, want) {
			t.Fatalf("got  %x\nwant %x", got, want)
		}
		if !bytes.Equal(old.Encode(), was) {
			t.Fatal("the old table changed")
		}
	})
}

func TestRoot(t *testing.T) {
	base := snapshot.Row{ID: people.ID{1}, Revision: 2, Content: snapshot.Digest{3}, Exact: snapshot.Digest{4}, Active: true, Segment: 5, Offset: 6, Length: 7}
	root := func(r ...snapshot.Row) [32]byte { return snapshot.NewRows(r).Root() }
	for _, c := range []struct {
		name   string
		change func(*snapshot.Row)
		same   bool
	}{
		{"segment", func(r *snapshot.Row) { r.Segment++ }, true},
		{"offset", func(r *snapshot.Row) { r.Offset++ }, true},
		{"length", func(r *snapshot.Row) { r.Length++ }, true},
		{"to be looked at again", func(r *snapshot.Row) { r.Again = true }, true},
		{"who", func(r *snapshot.Row) { r.ID[15]++ }, false},
		{"revision", func(r *snapshot.Row) { r.Revision++ }, false},
		{"content", func(r *snapshot.Row) { r.Content[31]++ }, false},
		{"exact form", func(r *snapshot.Row) { r.Exact[31]++ }, false},
		{"active", func(r *snapshot.Row) { r.Active = false }, false},
	} {
		r := base
		c.change(&r)
		if same := root(base) == root(r); same != c.same {
			t.Errorf("%s: the root is the same: %v, want %v", c.name, same, c.same)
		}
	}
	two := base
	two.ID = people.ID{2}
	if root(base, two) != root(two, base) || root(base) == root(base, two) || root() == root(base) {
		t.Error("the root is not one over the set of rows")
	}
}

func TestCorruptTablesAreRefused(t *testing.T) {
	one, two := snapshot.Row{ID: people.ID{1}}, snapshot.Row{ID: people.ID{2}}
	good := snapshot.NewRows([]snapshot.Row{one, two}).Encode()
	const header = 16
	width := (len(good) - header) / 2
	first, second := good[header:header+width], good[header+width:]
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	records := snapshot.NewRecords([]snapshot.Record{{Key: snapshot.Short{1}}}).Encode()
	state := bytes.Clone(records)
	state[header+96] = 3
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"nothing", nil},
		{"header only in part", good[:header-1]},
		{"cut in a row", good[:len(good)-1]},
		{"cut between rows", good[:len(good)-width]},
		{"more after it", append(bytes.Clone(good), 0)},
		{"another form", change(7, '3')},
		{"another width", change(8, byte(width)+1)},
		{"another count", change(12, 3)},
		{"not sorted", slices.Concat(good[:header], second, first)},
		{"somebody twice", slices.Concat(good[:header], first, first)},
		{"flags without a meaning", change(header+88, 4)},
		{"a table of records", records},
	} {
		if _, err := snapshot.ParseRows(c.b); err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
	for name, b := range map[string][]byte{"people": good, "cut": records[:len(records)-1], "no such state": state} {
		if _, err := snapshot.ParseRecords(b); err == nil {
			t.Errorf("%s: accepted as a table of records", name)
		}
	}
	for _, n := range []int{0, 1} {
		if table, err := snapshot.ParseRows(snapshot.NewRows(make([]snapshot.Row, n)).Encode()); err != nil || table.Len() != n {
			t.Errorf("%d rows: got %d, %v", n, table.Len(), err)
		}
	}
	if (snapshot.Rows{}).Len() != 0 || (snapshot.Records{}).Len() != 0 || (snapshot.Rows{}).Active() != 0 {
		t.Error("a table that is not there is not empty")
	}
}

// Tables that the first version wrote are read: what they lack is empty.
func TestFirstForm(t *testing.T) {
	narrow := func(b []byte, rows, cut int) []byte {
		width := (len(b) - 16) / rows
		out := bytes.Clone(b[:16])
		out[7], out[8] = '1', byte(width-cut)
		for i := range rows {
			out = append(out, b[16+i*width:16+(i+1)*width-cut]...)
		}
		return out
	}
	row := snapshot.Row{ID: people.ID{1}, Revision: 2, Active: true, Segment: 3, Offset: 4, Length: 5}
	people1, err := snapshot.ParseRows(narrow(snapshot.NewRows([]snapshot.Row{row, {ID: people.ID{2}}}).Encode(), 2, 32))
	if err != nil || people1.Len() != 2 || people1.At(0) != row {
		t.Errorf("%v, %v", people1, err)
	}
	record := snapshot.Record{Key: snapshot.Short{1}, Person: people.ID{1}, Email: snapshot.Short{3}, State: snapshot.Missing, Since: 4, Length: 5}
	records, err := snapshot.ParseRecords(narrow(snapshot.NewRecords([]snapshot.Record{record, {Key: snapshot.Short{2}}}).Encode(), 2, 16))
	if err != nil || records.Len() != 2 || records.At(0) != record {
		t.Errorf("%v, %v", records, err)
	}
}

func FuzzParseRows(f *testing.F) {
	f.Add(snapshot.NewRows([]snapshot.Row{{ID: people.ID{1}, Revision: 1}, {ID: people.ID{2}, Active: true}}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := snapshot.ParseRows(b)
		if err != nil {
			return
		}
		list := make([]snapshot.Row, table.Len())
		for i := range list {
			list[i] = table.At(i)
		}
		if string(b[:8]) == "CISPEOP2" && !bytes.Equal(snapshot.NewRows(list).Encode(), b) {
			t.Fatal("the table is not what its rows say")
		}
	})
}

func FuzzParseRecords(f *testing.F) {
	f.Add(snapshot.NewRecords([]snapshot.Record{{Key: snapshot.Short{1}, State: snapshot.Gone}, {Key: snapshot.Short{2}, NotYet: true, Regressed: true}}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := snapshot.ParseRecords(b)
		if err != nil {
			return
		}
		list := make([]snapshot.Record, table.Len())
		for i := range list {
			list[i] = table.At(i)
		}
		if string(b[:8]) == "CISRECS2" && !bytes.Equal(snapshot.NewRecords(list).Encode(), b) {
			t.Fatal("the table is not what its records say")
		}
	})
}

func TestHasher(t *testing.T) {
	h := snapshot.NewHasher([]byte("key"))
	// By Python: hmac.new(b"key", b"domain\x00text", "sha256").hexdigest()
	d := h.Sum("domain", []byte("text"))
	if got, want := hex.EncodeToString(d[:]), "4b50b4ca062e41b5e0e2140f2f71587b06317f8136ce62c5913e1b80e69d17e4"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	seen := map[string]string{}
	for name, d := range map[string]snapshot.Digest{
		"plain":               h.Sum("a", []byte("bc")),
		"another domain":      h.Sum("ab", []byte("c")),
		"another key":         snapshot.NewHasher([]byte("yek")).Sum("a", []byte("bc")),
		"another text":        h.Sum("a", []byte("bd")),
		"exact":               h.Exact([]byte("bc")),
		"exact, another text": h.Exact([]byte("bd")),
	} {
		if other, ok := seen[string(d[:])]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[string(d[:])] = name
	}
	shorts := map[snapshot.Short]string{}
	for name, s := range map[string]snapshot.Short{
		"nobody":                     {},
		"record of LDAP":             h.Record(people.LDAP, "1"),
		"record of HRIS":             h.Record(people.HRIS, "1"),
		"another record of LDAP":     h.Record(people.LDAP, "2"),
		"key that spells the record": h.Key(people.Key{Scheme: people.ByRecord(people.LDAP), Value: "1"}),
		"mail":                       h.Key(people.Key{Scheme: people.ByEmail, Value: "1"}),
		"user id":                    h.Key(people.Key{Scheme: people.ByUserID, Value: "1"}),
	} {
		if other, ok := shorts[s]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		shorts[s] = name
	}
	if h.Key(people.Key{Scheme: people.ByEmail}) != (snapshot.Short{}) {
		t.Error("no mail has a hash")
	}
}

func TestHasherKeepsItsKey(t *testing.T) {
	key := []byte("key")
	h := snapshot.NewHasher(key)
	want := h.Sum("d", nil)
	clear(key)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				h.Sum("other", fmt.Append(nil, i))
				if h.Sum("d", nil) != want {
					t.Error("the hash changed")
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestContent(t *testing.T) {
	profile := func(change func(*people.Attribute)) *people.Profile {
		a := people.Attribute{Value: people.StringValue("Ada"), Metadata: people.Metadata{Display: "staff", Verified: true}}
		change(&a)
		p := &people.Profile{}
		p.Set("first_name", a)
		return p
	}
	h := snapshot.NewHasher([]byte("key"))
	base := h.Content(profile(func(*people.Attribute) {}))
	for _, c := range []struct {
		name   string
		change func(*people.Attribute)
		same   bool
	}{
		{"nothing", func(*people.Attribute) {}, true},
		{"dates", func(a *people.Attribute) { a.Metadata.Created, a.Metadata.LastModified = "x", "y" }, true},
		{"signature", func(a *people.Attribute) { a.Signature.Publisher.Value = "jws" }, true},
		{"value", func(a *people.Attribute) { a.Value = people.StringValue("Eve") }, false},
		{"kind", func(a *people.Attribute) { a.Value = people.Value{} }, false},
		{"display", func(a *people.Attribute) { a.Metadata.Display = "" }, false},
		{"verified", func(a *people.Attribute) { a.Metadata.Verified = false }, false},
	} {
		if same := h.Content(profile(c.change)) == base; same != c.same {
			t.Errorf("%s: the hash is the same: %v, want %v", c.name, same, c.same)
		}
	}
	p := profile(func(*people.Attribute) {})
	p.Set(people.LastModified, people.Attribute{Value: people.StringValue("2026-03-02T08:00:00.000Z")})
	if h.Content(p) != base {
		t.Error("the date of the last write is content")
	}
	q := &people.Profile{}
	a, _ := p.Find("first_name")
	q.Set("last_name", a)
	if h.Content(q) == base {
		t.Error("the path is not content")
	}
}
