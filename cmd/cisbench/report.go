package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A report is everything that was measured, with where and when.
type report struct {
	Date    string   `json:"date"`
	Machine string   `json:"machine"`
	Go      string   `json:"go"`
	Command string   `json:"command"`
	Cases   []result `json:"cases"`
}

func newReport(command string, now time.Time) *report {
	machine := fmt.Sprintf("%s/%s, %d processors", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	return &report{Date: now.UTC().Format(time.DateOnly), Machine: machine, Go: runtime.Version(), Command: command}
}

// markdown writes the tables.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s on %s, %s, with `%s`.\n\n", r.Date, r.Machine, r.Go, r.Command)
	b.WriteString("| case | keys | people | runs | wall, s | CPU, s | peak, MB | people/s | floor wall, s | floor CPU, s | wall / floor | CPU / floor | signatures | vault writes |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range r.Cases {
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %s | %s | %.0f | %s | %s | %s | %.2f | %.2f | %s | %s |\n",
			c.Case, c.Alg, thousands(c.People), c.Runs, c.Wall.text(), c.CPU.text(), c.Peak.Median/1e6, thousands(int64(float64(c.People)/c.Wall.Median)),
			c.Floor.Wall.text(), c.Floor.CPU.text(), c.Wall.Median/c.Floor.Wall.Median, c.CPU.Median/c.Floor.CPU.Median, thousands(c.Signatures), thousands(c.Writes))
	}
	b.WriteString("\nBytes a person on disk, after the case:\n\n| case | keys | people | vault | snapshots |\n|---|---|--:|--:|--:|\n")
	for _, c := range r.Cases {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", c.Case, c.Alg, thousands(c.People), thousands(c.Vault/max(c.People, 1)), thousands(c.Snapshots/max(c.People, 1)))
	}
	return b.String()
}

// text writes the median, and the bounds where there are several values.
func (s spread) text() string {
	if s.Min == s.Max {
		return seconds(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", seconds(s.Median), seconds(s.Min), seconds(s.Max))
}

func seconds(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// The comments between which a file is rewritten.
const (
	begin = "<!-- cisbench:begin, written by go run ./cmd/cisbench -->\n"
	end   = "<!-- cisbench:end -->\n"
)

// rewrite replaces what stands between the two comments of a file.
func rewrite(path, begin, end, text string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s, err := between(string(b), begin, end, text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(s), 0o644)
}

func between(file, begin, end, text string) (string, error) {
	before, rest, ok := strings.Cut(file, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", errors.New("the comments of cisbench, between which it writes, are not there")
	}
	return before + begin + "\n" + text + "\n" + end + after, nil
}
