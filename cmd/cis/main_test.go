package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/sinks/firestore/emulator"
)

var update = flag.Bool("update", false, "write golden files anew")

func TestMain(m *testing.M) {
	// A program with the race detector sleeps for a second before it ends, and
	// the tests run hundreds.
	if err := os.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0")); err != nil {
		panic(err)
	}
	testscript.Main(emulator.M{M: m}, map[string]func(){"cis": main})
}

// TestScripts runs testdata/script. Beside testscript's own commands there
// is "code N PROGRAM ARGS…": the program must end with exactly N.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 2 {
					ts.Fatalf("usage: code N program args…")
				}
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				got, exit := 0, (*exec.ExitError)(nil)
				switch err := ts.Exec(args[1], args[2:]...); {
				case errors.As(err, &exit):
					got = exit.ExitCode()
				case err != nil:
					ts.Fatalf("%v", err)
				}
				if got != want {
					ts.Fatalf("%s ended with %d, want %d", strings.Join(args[1:], " "), got, want)
				}
			},
		},
	})
}

func try(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(ctx, args, strings.NewReader(""), &out, &err, nil)
	return code, out.String(), err.String()
}

// TestHelp keeps the help of every command in one golden file.
func TestHelp(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	parser, err := kong.New(new(commandLine))
	if err != nil {
		t.Fatal(err)
	}
	commands := []string{""}
	for _, leaf := range parser.Model.Leaves(false) {
		commands = append(commands, strings.TrimSpace(strings.Split(leaf.Path(), " <")[0]))
	}
	var all strings.Builder
	for _, command := range commands {
		code, stdout, stderr := try(t.Context(), append(strings.Fields(command), "--help")...)
		if code != exitDone || stderr != "" {
			t.Errorf("cis %s --help ends with %d and says %q", command, code, stderr)
		}
		if command != "" && !strings.Contains(stdout, "Example") {
			t.Errorf("cis %s --help shows no example", command)
		}
		all.WriteString(strings.TrimSuffix("$ cis "+command, " ") + " --help\n" + stdout + "\n")
	}
	const golden = "testdata/help.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), all.String()); diff != "" {
		t.Errorf("the help has changed; if it should have, run go test ./cmd/cis -update\n%s", diff)
	}
}

func TestReport(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	complaints := config.Complaints{{File: "cis.yaml", Line: 3, Message: "one"}, {Variable: "CIS_VAULT", Message: "two"}}
	for _, test := range []struct {
		name           string
		ctx            context.Context
		err            error
		code           int
		stderr, stdout string
	}{
		{"done", t.Context(), nil, 0, "", ""},
		{"failed", t.Context(), errors.New("sqlite: open: no\nroom"), 1, "cis: sqlite: open: no; room\n",
			`{"error":{"code":"failed","message":"sqlite: open: no\nroom"}}`},
		{"interrupted", cancelled, cancelled.Err(), 1, "cis: interrupted\n", `{"error":{"code":"failed","message":"interrupted"}}`},
		{"usage", t.Context(), usageError{errors.New("want a name")}, 2, "cis: want a name\n", `{"error":{"code":"usage","message":"want a name"}}`},
		{"configuration", t.Context(), complaints, 2, "cis: cis.yaml:3: one\ncis: CIS_VAULT: two\n",
			`{"error":{"code":"config","message":"the configuration has 2 mistakes","complaints":[{"file":"cis.yaml","line":3,"message":"one"},{"variable":"CIS_VAULT","message":"two"}]}}`},
		{"held", t.Context(), heldError("2 operations are held"), 3, "cis: 2 operations are held\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			p := &program{everywhere: everywhere{JSON: true}, stdout: &stdout, stderr: &stderr}
			if got := p.report(test.ctx, nil, test.err); got != test.code {
				t.Errorf("ends with %d, want %d", got, test.code)
			}
			if stderr.String() != test.stderr {
				t.Errorf("says %q, want %q", stderr.String(), test.stderr)
			}
			compact := strings.NewReplacer("\n", "", "  ", "", `": `, `":`).Replace(stdout.String())
			if compact != test.stdout {
				t.Errorf("prints %s, want %s", compact, test.stdout)
			}
		})
	}
}
