package firestore

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestPace compares with what Firestore asks for: 500 documents a second, and
// half as much again every five minutes.
func TestPace(t *testing.T) {
	p := newPace(2000, false)
	for since, want := range map[time.Duration]float64{
		0: 500, 5*time.Minute - 1: 500, 5 * time.Minute: 750, 10 * time.Minute: 1125, 15 * time.Minute: 1687.5, 20 * time.Minute: 2000, 24 * time.Hour: 2000,
	} {
		if got := p.at(since); got != want {
			t.Errorf("after %v it is %v documents a second, want %v", since, got, want)
		}
	}
	if got := newPace(100, false).limiter.Limit(); got != 100 {
		t.Errorf("a ceiling below the beginning is %v", got)
	}
	if got := newPace(2000, true).limiter.Limit(); got != 2000 {
		t.Errorf("without a ramp it begins at %v", got)
	}
}

// TestPaceWaits says at once what cannot be in time.
func TestPaceWaits(t *testing.T) {
	p := newPace(1, false)
	if err := p.wait(t.Context(), maxLoadWrites); err != nil { // the largest commit goes at once, or it never could
		t.Fatal(err)
	}
	minute, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.wait(minute, maxLoadWrites); !errors.Is(err, context.DeadlineExceeded) || minute.Err() != nil {
		t.Errorf("%d documents more in a minute: %v", maxLoadWrites, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.wait(gone, maxLoadWrites); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
