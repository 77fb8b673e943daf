package firestore

import "time"

// RampAt is how many documents a second may be written so long after the first.
func RampAt(most int, since time.Duration) float64 { return newPace(most, false).at(since) }
