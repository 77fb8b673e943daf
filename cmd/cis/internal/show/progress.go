package show

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// A Progress is one line on a terminal that says how far something is. Where
// there is no terminal it says nothing; nil says nothing either. It is safe
// for use by several goroutines.
type Progress struct {
	bar  *progressbar.ProgressBar
	stop chan struct{}
}

// NewProgress begins a line about total steps, or, if total is -1, about
// something of unknown length, of which only the time it takes is shown.
func NewProgress(w io.Writer, what string, total int64) *Progress {
	if !IsTerminal(w) {
		return nil
	}
	options := []progressbar.Option{
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(Clean(what)),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100 * time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetElapsedTime(true),
	}
	p := &Progress{stop: make(chan struct{})}
	if total >= 0 {
		p.bar = progressbar.NewOptions64(total, append(options, progressbar.OptionShowCount(), progressbar.OptionShowIts())...)
		return p
	}
	p.bar = progressbar.NewOptions64(-1, append(options, progressbar.OptionSpinnerType(14))...)
	go func() {
		t := time.NewTicker(150 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-t.C:
				_ = p.bar.Add(1)
			}
		}
	}()
	return p
}

// Set says that n steps are done.
//
// A terminal that cannot be written to is no reason to stop the work.
func (p *Progress) Set(n int64) {
	if p != nil && n > 0 {
		_ = p.bar.Set64(n)
	}
}

// Close takes the line away.
func (p *Progress) Close() {
	if p != nil {
		close(p.stop)
		_ = p.bar.Finish()
		_ = p.bar.Clear()
	}
}
