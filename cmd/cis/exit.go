package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
)

// The exit codes, all of them.
const (
	exitDone   = 0 // done
	exitFailed = 1 // failed, or interrupted
	exitUsage  = 2 // wrong usage or configuration: nothing was done
	exitHeld   = 3 // done, but something is held, set aside or unread
)

// A usageError is a mistake on the command line that parsing does not find.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// A heldError says what is left to look at after a command that did its
// work and printed its result.
type heldError string

func (e heldError) Error() string { return string(e) }

// A printedError is of a command that has printed its result, which says that
// it failed.
type printedError struct{ error }

func (e printedError) Unwrap() error { return e.error }

// report says what came of a command and returns the exit code.
func (p *program) report(ctx context.Context, args []string, err error) int {
	if err == nil {
		return exitDone
	}
	var (
		complaints config.Complaints
		parsing    *kong.ParseError
		usage      usageError
		held       heldError
		printed    printedError
	)
	code, word, message := exitFailed, "failed", strings.TrimPrefix(err.Error(), "cis: ")
	switch {
	case errors.As(err, &held):
		fmt.Fprintf(p.stderr, "cis: %s\n", show.Clean(message))
		return exitHeld
	case errors.As(err, &complaints):
		code, word = exitUsage, "config"
		message = "the configuration has " + show.Plural(int64(len(complaints)), "mistake", "mistakes")
		for _, c := range complaints {
			fmt.Fprintf(p.stderr, "cis: %s\n", show.Clean(c.String()))
		}
	case errors.As(err, &parsing):
		code, word = exitUsage, "usage"
		message += "; see " + commandOf(parsing.Context) + " --help"
	case errors.As(err, &usage):
		code, word = exitUsage, "usage"
	case ctx.Err() != nil:
		message = "interrupted"
	}
	if complaints == nil {
		fmt.Fprintf(p.stderr, "cis: %s\n", show.Clean(strings.ReplaceAll(message, "\n", "; ")))
	}
	// Where parsing failed, the flag is not in p yet.
	if errors.As(err, &printed) {
		return code
	}
	if p.JSON || slices.Contains(args, "--json") {
		type body struct {
			Code       string            `json:"code"`
			Message    string            `json:"message"`
			Complaints config.Complaints `json:"complaints,omitempty"`
		}
		if err := show.JSON(p.stdout, map[string]body{"error": {word, message, complaints}}); err != nil {
			fmt.Fprintf(p.stderr, "cis: %s\n", err)
		}
	}
	return code
}

// commandOf is the command that was meant, as far as it could be parsed.
func commandOf(ctx *kong.Context) string {
	if node := ctx.Selected(); node != nil {
		return node.FullPath()
	}
	words := []string{"cis"}
	for _, step := range ctx.Path {
		if step.Command != nil {
			words = append(words, step.Command.Name)
		}
	}
	return strings.Join(words, " ")
}
