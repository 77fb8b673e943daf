package main

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestRecent reads keys anew each minute, and does without for an hour.
func TestRecent(t *testing.T) {
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	read, down := 0, false
	r := &recent[int]{now: func() time.Time { return now }, read: func(context.Context) (int, error) {
		read++
		if down {
			return 0, errors.New("down")
		}
		return read, nil
	}}
	for _, c := range []struct {
		after time.Duration
		down  bool
		want  int // 0 is an error
		reads int
	}{
		{0, true, 0, 1},
		{0, false, 2, 2}, // what was never read is asked for each time
		{freshKeys - 1, false, 2, 2},
		{1, false, 3, 3},
		{freshKeys, true, 3, 4},
		{freshKeys - 1, true, 3, 4},
		{1, true, 3, 5},
		{staleKeys, true, 0, 6},
		{0, true, 0, 7},
		{0, false, 8, 8},
	} {
		now, down = now.Add(c.after), c.down
		got, err := r.get(t.Context())
		if got != c.want || (err != nil) != (c.want == 0) || read != c.reads {
			t.Errorf("%+v: got %d, %v after %d reads", c, got, err, read)
		}
	}
}
