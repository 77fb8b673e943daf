package config

import (
	"fmt"
	"strings"
)

// unknown says that word is none of the known ones, with the one that was
// probably meant, or all of them.
func unknown(what, word string, known []string) string {
	if c := closest(word, known); c != "" {
		return fmt.Sprintf("unknown %s %q: did you mean %q?", what, word, c)
	}
	if len(known) > 16 {
		return fmt.Sprintf("unknown %s %q", what, word)
	}
	return fmt.Sprintf("unknown %s %q: want one of %s", what, word, strings.Join(known, ", "))
}

// closest returns the known word that is nearest to word, "" if none is near
// enough to be a slip of the finger.
func closest(word string, known []string) string {
	best, found := max(1, min(3, len(word)/3))+1, ""
	for _, k := range known {
		if n := distance(word, k); n < best {
			best, found = n, k
		}
	}
	return found
}

// distance is how many insertions, deletions, substitutions and swaps of
// neighbours turn a into b.
func distance(a, b string) int {
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
