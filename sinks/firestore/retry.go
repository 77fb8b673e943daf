package firestore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errReadOnly is of a store that was opened so.
var errReadOnly = errors.New("opened to read only")

// attemptTime is how long one attempt may take: a connection that hangs must not
// use up all patience.
const attemptTime = 45 * time.Second

// again runs f until it succeeds or fails for good, at most for the store's
// patience. Before each attempt it waits, which takes no patience, if wait is
// not nil.
func (s *Store) again(ctx context.Context, wait, f func(ctx context.Context) error) error {
	deadline := time.Now().Add(s.patience)
	pause := gax.Backoff{Initial: 20 * time.Millisecond, Max: 10 * time.Second, Multiplier: 2}
	refused := 0
	for tries := 1; ; tries++ {
		if wait != nil {
			begun := time.Now()
			if err := wait(ctx); err != nil {
				return err
			}
			deadline = deadline.Add(time.Since(begun))
		}
		err := s.attempt(ctx, deadline, f)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err() // the client dresses it up as a status
		}
		may := passing(err)
		switch status.Code(err) {
		case codes.InvalidArgument, codes.FailedPrecondition, codes.NotFound, codes.Unauthenticated:
			// Said as well of a transaction that is over because its answer was
			// lost, and of credentials that could not be renewed just now.
			refused++
			may = refused <= maxRefused
		}
		if !may {
			return plain(err)
		}
		s.retries.Add(1)
		rest := pause.Pause()
		if time.Now().Add(rest).After(deadline) {
			return fmt.Errorf("given up after %v and %d tries: %w", s.patience, tries, plain(err))
		}
		if err := gax.Sleep(ctx, rest); err != nil {
			return err
		}
	}
}

func (s *Store) attempt(ctx context.Context, deadline time.Time, f func(ctx context.Context) error) error {
	if soon := time.Now().Add(attemptTime); soon.Before(deadline) {
		deadline = soon
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return f(ctx)
}

// maxRefused is how often a request is made again that was refused as wrong.
const maxRefused = 3

// passing reports whether the same request may succeed a little later.
func passing(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) { // as the client says it sometimes
		return true
	}
	st, ok := status.FromError(err)
	if !ok {
		return false // one of ours
	}
	switch st.Code() {
	case codes.Aborted, codes.ResourceExhausted, codes.Unavailable, codes.DeadlineExceeded, codes.Internal, codes.Unknown, codes.Canceled:
		return true
	}
	return false
}

// errInvalid is a request that Firestore refuses as wrong, or too large.
var errInvalid = errors.New("refused by Firestore (InvalidArgument)")

// plain leaves out of an error what a server may say of values that it was given.
func plain(err error) error {
	if status.Code(err) == codes.InvalidArgument {
		return errInvalid
	}
	return err
}
