package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/pipelines/beamrun"
)

func main() {
	// Data streams through: little of what was allocated is still in use a
	// moment later, so a larger heap costs little memory and saves a tenth of
	// the CPU. GOGC overrules this, and GOMEMLIMIT bounds it.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if beamrun.Worker(os.Args[1:]) {
		os.Exit(work())
	}
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}

// work makes the process a worker of a Beam runner, which starts it with
// flags of its own. What a step needs comes with the step, as specs.
func work() int {
	p := &program{env: config.ParseEnv(os.Environ()), now: time.Now, random: rand.Reader, notes: new(sync.Mutex)}
	p.useOpeners()
	flag.Parse()
	if err := beamrun.Init(nil); err != nil {
		fmt.Fprintf(os.Stderr, "cis: %s\n", err)
		return exitFailed
	}
	return exitDone
}

// A commandLine is everything that can be said to the program.
type commandLine struct {
	Everywhere everywhere `embed:"" group:"Everywhere:"`

	Demo       demoCommand       `cmd:"" help:"Show all of it on a company that does not exist."`
	Sync       syncCommand       `cmd:"" help:"Read the sources, sign what changed, write it."`
	Diff       diffCommand       `cmd:"" help:"Compare two runs."`
	Runs       runsCommand       `cmd:"" help:"List the runs."`
	RunOf      runCommands       `cmd:"" name:"run" help:"Look at one run."`
	Rejections rejectionsCommand `cmd:"" help:"List what was set aside."`
	Cases      casesCommand      `cmd:"" help:"List what cannot be decided without a human."`
	Upcoming   upcomingCommand   `cmd:"" help:"List who is missing, and when that will act."`
	Person     personCommands    `cmd:"" help:"Look at people."`
	Explain    explainCommand    `cmd:"" help:"Say why a profile is what it is."`
	Links      linksCommand      `cmd:"" help:"List the records of a person, and what was decided about records."`
	Link       linkCommand       `cmd:"" help:"Decide that a record is a person's."`
	Unlink     unlinkCommand     `cmd:"" help:"Decide that a record is not a person's."`
	Sign       signCommand       `cmd:"" help:"Sign a profile, whole or partial, as a publisher."`
	Verify     verifyCommand     `cmd:"" help:"Verify signatures."`
	Publish    publishCommand    `cmd:"" help:"Send signed profiles to a Change API."`
	Import     importCommand     `cmd:"" help:"Take profiles over."`
	Dump       dumpCommand       `cmd:"" help:"Write out all profiles."`
	VaultOf    vaultCommands     `cmd:"" name:"vault" help:"Look after a vault."`
	Serve      serveCommand      `cmd:"" help:"Serve the person service."`

	Init    initCommand    `cmd:"" help:"Write a configuration to start from."`
	Config  configCommands `cmd:"" help:"Look at the configuration."`
	Keys    keysCommands   `cmd:"" help:"Make, list, rotate and publish signing keys."`
	Token   tokenCommand   `cmd:"" help:"Ask for a token."`
	Synth   synthCommand   `cmd:"" help:"Write the source files of a company that does not exist."`
	Version versionCommand `cmd:"" help:"Say which version this is."`
}

// Everywhere are the flags of all commands.
type everywhere struct {
	Config string `placeholder:"FILE" help:"The configuration (default: $$CIS_CONFIG, else cis.yaml)."`
	Vault  string `placeholder:"SPEC" help:"Use this vault and not the configured one, such as sqlite:other.db or firestore:PROJECT/DATABASE."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// A program is what commands run in: everything from outside comes through it.
type program struct {
	everywhere
	stdin          io.Reader
	stdout, stderr io.Writer
	env            config.Env
	now            func() time.Time
	random         io.Reader
	notes          *sync.Mutex // sources that are read at the same time may wait at the same time
}

// run runs one command and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, environ []string) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr, env: config.ParseEnv(environ), now: time.Now, random: rand.Reader, notes: new(sync.Mutex)}
	code := exitDone
	if len(args) == 0 {
		args, stdout, code = []string{"--help"}, stderr, exitUsage
	}

	var line commandLine
	helped := false
	parser, err := kong.New(&line,
		kong.Name("cis"),
		kong.Description(description),
		kong.Writers(stdout, stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Help(func(options kong.HelpOptions, ctx *kong.Context) error {
			if helped {
				return nil
			}
			helped = true
			return kong.DefaultHelpPrinter(options, ctx)
		}),
		// Help "exits" in the middle of parsing; here it is looked at afterwards.
		kong.Exit(func(int) {}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p),
	)
	if err != nil {
		return p.report(ctx, args, fmt.Errorf("cis: build the command line: %w", err))
	}
	command, err := parser.Parse(args)
	if helped {
		return code
	}
	if err == nil {
		p.everywhere = line.Everywhere
		err = command.Run()
	}
	return p.report(ctx, args, err)
}

const description = `CIS collects what an organisation knows about its people from its sources into one signed profile each.

To start: "cis init" writes a configuration, "cis keys new --all" makes keys, "cis config check" says what is missing.

Exit codes:

    0  done
    1  failed, or interrupted
    2  wrong usage or configuration: nothing was done
    3  done, but something is held, set aside or unread`

// configPath is the configuration's path: the flag, else the variable, else
// the default.
func (p *program) configPath() string {
	switch {
	case p.Config != "":
		return p.Config
	case p.env["CIS_CONFIG"] != "":
		return p.env["CIS_CONFIG"]
	}
	return "cis.yaml"
}

// load reads the configuration.
func (p *program) load() (*config.Config, error) {
	c, err := config.Load(p.configPath(), p.env, choices())
	if err != nil {
		return nil, err
	}
	if p.Vault != "" {
		if err := c.SetVault(p.Vault, choices()); err != nil {
			return nil, usageError{err}
		}
	}
	return c, nil
}

// print writes the result of a command: result as JSON, or what human writes.
func (p *program) print(result any, human func(w io.Writer) error) error {
	if p.JSON {
		return show.JSON(p.stdout, result)
	}
	return human(p.stdout)
}

// table begins a table on standard output.
func (p *program) table(headings ...string) *show.Table {
	return show.NewTable(show.Colours(p.stdout, p.env), headings...)
}
