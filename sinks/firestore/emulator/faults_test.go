package emulator_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.org/cis/sinks/firestore/emulator"
)

// faulty returns a client that fails as it is told, and another of the same
// project.
func faulty(t *testing.T, faults ...emulator.Fault) (bad, good *firestore.Client, f *emulator.Faults) {
	t.Helper()
	e := emulator.Start(t)
	project := e.Project(t)
	f = emulator.NewFaults(1, faults...)
	return client(t, project, "", e.Options(f)), client(t, project, "", e.Options()), f
}

func only(t *testing.T, f *emulator.Faults, method string, code codes.Code, after bool, times int) {
	t.Helper()
	want := map[emulator.Injected]int{{Method: method, Code: code, After: after}: times}
	if got := f.Injected(); !maps.Equal(got, want) {
		t.Errorf("injected %v, want %v", got, want)
	}
}

// TestCommitFails does and does not write, and says each time that it did not.
func TestCommitFails(t *testing.T) {
	// The client itself tries anew after Unavailable and ResourceExhausted.
	for _, code := range []codes.Code{codes.Aborted, codes.DeadlineExceeded, codes.Unknown} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(code, " ", after), func(t *testing.T) {
				bad, good, f := faulty(t, emulator.Fault{Methods: []string{"Commit"}, Codes: []codes.Code{code}, After: after})
				if err := write(brief(t, 20*time.Second), bad, "me"); status.Code(err) != code {
					t.Errorf("got %v, want %v", err, code)
				}
				want := ""
				if after {
					want = "me"
				}
				expect(t, bad, want) // no other method fails
				expect(t, good, want)
				only(t, f, "Commit", code, after, 1)
				f.Set()
				if err := write(brief(t, 20*time.Second), bad, "me"); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestCommitTriedAnew is what the client does by itself, and finds there what
// it wrote the first time.
func TestCommitTriedAnew(t *testing.T) {
	bad, _, f := faulty(t, emulator.Fault{Methods: []string{"Commit"}, Codes: []codes.Code{codes.Unavailable}, After: true, Limit: 1})
	_, err := bad.Doc("people/one").Create(brief(t, 20*time.Second), map[string]any{"name": "me"})
	if status.Code(err) != codes.AlreadyExists {
		t.Errorf("got %v", err)
	}
	only(t, f, "Commit", codes.Unavailable, true, 1)
}

// TestCommitRefused leaves an error of the server's as it is.
func TestCommitRefused(t *testing.T) {
	bad, good, f := faulty(t, emulator.Fault{Codes: []codes.Code{codes.Unknown}, After: true, Limit: 1})
	if err := write(brief(t, 20*time.Second), good, "me"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []codes.Code{codes.AlreadyExists, codes.AlreadyExists} {
		_, err := bad.Doc("people/one").Create(brief(t, 20*time.Second), map[string]any{"name": "me"})
		if status.Code(err) != want {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if n := f.Count(); n != 0 {
		t.Errorf("%d were injected", n)
	}
	if err := write(brief(t, 20*time.Second), bad, "me"); status.Code(err) != codes.Unknown {
		t.Errorf("the limit was used up: %v", err)
	}
}

// TestReadFails fails streams, before and after they deliver.
func TestReadFails(t *testing.T) {
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprint("after ", after), func(t *testing.T) {
			bad, good, f := faulty(t)
			if err := write(brief(t, 20*time.Second), good, "me"); err != nil {
				t.Fatal(err)
			}
			f.Set(emulator.Fault{Methods: []string{"BatchGetDocuments"}, Codes: []codes.Code{codes.Aborted}, After: after})
			if _, err := read(brief(t, 20*time.Second), bad); status.Code(err) != codes.Aborted {
				t.Errorf("get: %v", err)
			}
			only(t, f, "BatchGetDocuments", codes.Aborted, after, 1)

			f.Set(emulator.Fault{Methods: []string{"RunQuery"}, Codes: []codes.Code{codes.Unknown}, After: after})
			docs := bad.Collection("people").Documents(brief(t, 20*time.Second))
			defer docs.Stop()
			n := 0
			_, err := docs.Next()
			for ; err == nil; _, err = docs.Next() {
				n++
			}
			if status.Code(err) != codes.Unknown || n == 1 != after {
				t.Errorf("query: %d documents, %v", n, err)
			}
		})
	}
}

// TestTransactionFails fails what begins one.
func TestTransactionFails(t *testing.T) {
	bad, _, f := faulty(t, emulator.Fault{Methods: []string{"BeginTransaction"}, Codes: []codes.Code{codes.PermissionDenied}})
	change := func(ctx context.Context, tx *firestore.Transaction) error {
		return tx.Set(bad.Doc("people/one"), map[string]any{"name": "me"})
	}
	if err := bad.RunTransaction(brief(t, 20*time.Second), change); status.Code(err) != codes.PermissionDenied {
		t.Errorf("got %v", err)
	}
	f.Set(emulator.Fault{Methods: []string{"Commit"}, Codes: []codes.Code{codes.Aborted}, Limit: 1})
	if err := bad.RunTransaction(brief(t, 20*time.Second), change); err != nil {
		t.Error(err)
	}
	if got := f.Injected()[emulator.Injected{Method: "Commit", Code: codes.Aborted}]; got != 1 {
		t.Errorf("%d aborted", got)
	}
	expect(t, bad, "me")
}

// TestDrawn draws the same failures from the same seed, whatever else is called.
func TestDrawn(t *testing.T) {
	fault := emulator.Fault{Methods: []string{"Commit"}, Codes: []codes.Code{codes.Aborted, codes.Unknown}, Rate: 0.3, Skip: 10, Limit: 200}
	everything := emulator.Fault{Methods: []string{"Commit"}, Codes: []codes.Code{codes.Internal}, Rate: 0.5}
	draw := func(seed uint64, others int, faults ...emulator.Fault) (got []codes.Code) {
		f := emulator.NewFaults(seed, faults...)
		call := func(method string) codes.Code {
			return status.Code(f.Unary(t.Context(), "/google.firestore.v1.Firestore/"+method, nil, nil, nil,
				func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return nil }))
		}
		for range 1000 {
			got = append(got, call("Commit"))
			for range others {
				if code := call("Rollback"); code != codes.OK {
					t.Fatal(code)
				}
			}
		}
		return got
	}
	first := draw(1, 0, fault)
	if got := draw(1, 2, fault); fmt.Sprint(got) != fmt.Sprint(first) {
		t.Error("other methods disturb the sequence")
	}
	if got := draw(2, 0, fault); fmt.Sprint(got) == fmt.Sprint(first) {
		t.Error("another seed draws the same")
	}
	for i, code := range draw(1, 0, fault, everything) {
		if first[i] != codes.OK && code != first[i] {
			t.Fatalf("call %d: got %v, and %v without another fault", i, code, first[i])
		}
	}
	n := map[codes.Code]int{}
	for i, code := range first {
		n[code]++
		if i < 10 && code != codes.OK {
			t.Errorf("call %d: %v", i, code)
		}
	}
	if n[codes.Aborted]+n[codes.Unknown] != 200 || n[codes.Aborted] < 60 || n[codes.Unknown] < 60 {
		t.Errorf("got %v", n)
	}
}

// TestFailedAnyway counts nothing where the call fails by itself.
func TestFailedAnyway(t *testing.T) {
	f := emulator.NewFaults(1, emulator.Fault{Codes: []codes.Code{codes.Aborted}, After: true})
	own := errors.New("own")
	if err := f.Unary(t.Context(), "/s/Commit", nil, nil, nil,
		func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return own }); err != own {
		t.Errorf("got %v", err)
	}
	if _, err := f.Stream(t.Context(), &grpc.StreamDesc{}, nil, "/s/RunQuery",
		func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
			return nil, own
		}); err != own {
		t.Errorf("got %v", err)
	}
	if n := f.Count(); n != 0 {
		t.Errorf("%d were injected", n)
	}
}
