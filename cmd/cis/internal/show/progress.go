package show

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// A Progress is one line on a terminal that says how far something is. Where
// there is no terminal it says nothing. It is safe for use by several
// goroutines.
type Progress struct{ bar *progressbar.ProgressBar }

// NewProgress begins a line about total steps, or, if total is -1, about an
// unknown number of them.
func NewProgress(w io.Writer, what string, total int64) *Progress {
	if !IsTerminal(w) {
		return &Progress{}
	}
	return &Progress{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(Clean(what)),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetElapsedTime(true),
	)}
}

// Set says that n steps are done.
//
// A terminal that cannot be written to is no reason to stop the work.
func (p *Progress) Set(n int64) {
	if p.bar != nil {
		_ = p.bar.Set64(n)
	}
}

// Add says that n more steps are done.
func (p *Progress) Add(n int64) {
	if p.bar != nil {
		_ = p.bar.Add64(n)
	}
}

// Close takes the line away.
func (p *Progress) Close() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
