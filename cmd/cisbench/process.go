package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A cost is what one process took.
type cost struct {
	Wall time.Duration
	CPU  time.Duration // user and system
	Peak int64         // resident, in bytes
}

// execute runs a program to its end. The exit code 3 of cis (done, but
// something is set aside) is no failure.
//
// What the system reports as a process's peak memory includes that of its
// parent when it was started: this program has to stay small, so whatever is
// large goes from file to file.
func execute(ctx context.Context, stdin io.Reader, stdout io.Writer, name string, args ...string) (cost, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	c := cost{Wall: time.Since(began)}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 {
		err = nil
	}
	if err != nil {
		return c, fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	c.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.Peak = int64(usage.Maxrss)
		if runtime.GOOS != "darwin" { // the only one that counts bytes
			c.Peak *= 1024
		}
	}
	return c, nil
}

// A spread is the middle of several measurements and their bounds.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spreadOf(values []float64) spread {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return spread{Median: (v[(n-1)/2] + v[n/2]) / 2, Min: v[0], Max: v[n-1]}
}

// A figure is what several processes that did the same took.
type figure struct {
	Wall spread `json:"wall_seconds"`
	CPU  spread `json:"cpu_seconds"`
	Peak spread `json:"peak_bytes"`
}

func figureOf(costs []cost) figure {
	column := func(f func(cost) float64) spread {
		values := make([]float64, len(costs))
		for i, c := range costs {
			values[i] = f(c)
		}
		return spreadOf(values)
	}
	return figure{
		Wall: column(func(c cost) float64 { return c.Wall.Seconds() }),
		CPU:  column(func(c cost) float64 { return c.CPU.Seconds() }),
		Peak: column(func(c cost) float64 { return float64(c.Peak) }),
	}
}
