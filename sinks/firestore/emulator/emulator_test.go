package emulator_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"example.org/cis/sinks/firestore/emulator"
)

// childVariable says to TestChild that it is in a process which another test
// started.
const childVariable = "CIS_TEST_EMULATOR_CHILD"

func TestMain(m *testing.M) { os.Exit(emulator.M{M: m}.Run()) }

// client returns a client of a database, "" for the default one.
func client(t *testing.T, project, database string, options []option.ClientOption) *firestore.Client {
	t.Helper()
	if database == "" {
		database = firestore.DefaultDatabaseID
	}
	c, err := firestore.NewClientWithDatabase(t.Context(), project, database, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// brief is the context of calls that may not come back.
func brief(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func write(ctx context.Context, c *firestore.Client, value string) error {
	_, err := c.Doc("people/one").Set(ctx, map[string]any{"name": value})
	return err
}

// read returns what write wrote, "" if there is nothing.
func read(ctx context.Context, c *firestore.Client) (string, error) {
	doc, err := c.Doc("people/one").Get(ctx)
	if status.Code(err) == codes.NotFound {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	name, _ := doc.Data()["name"].(string)
	return name, nil
}

func expect(t *testing.T, c *firestore.Client, want string) {
	t.Helper()
	if got, err := read(brief(t, 20*time.Second), c); got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// TestProjects has projects and databases that do not see each other, and
// clears one.
func TestProjects(t *testing.T) {
	e := emulator.Start(t)
	one, two := e.Project(t), e.Project(t)
	clients := map[string]*firestore.Client{
		"one":       client(t, one, "", e.Options()),
		"one named": client(t, one, "named", e.Options()),
		"two":       client(t, two, "", e.Options()),
	}
	for _, c := range clients {
		expect(t, c, "")
	}
	for name, c := range clients {
		if err := write(brief(t, 20*time.Second), c, name); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range clients {
		expect(t, c, name)
	}
	e.Clear(t, one)
	expect(t, clients["one"], "")
	expect(t, clients["one named"], "one named")
	e.Clear(t, one, "named")
	expect(t, clients["one named"], "")
	expect(t, clients["two"], "two")
}

// TestEnv uses the emulator as a program does that only knows its environment.
func TestEnv(t *testing.T) {
	e := emulator.Start(t)
	project := e.Project(t)
	for _, setting := range e.Env(project) {
		name, value, _ := strings.Cut(setting, "=")
		t.Setenv(name, value)
	}
	c := client(t, firestore.DetectProjectID, "", nil)
	if err := write(brief(t, 20*time.Second), c, "me"); err != nil {
		t.Fatal(err)
	}
	expect(t, client(t, project, "", e.Options()), "me")
}

// TestOptions finds that they win over an environment that names another
// emulator.
func TestOptions(t *testing.T) {
	e := emulator.Start(t)
	t.Setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
	expect(t, client(t, e.Project(t), "", e.Options()), "")
}

// TestChild is what the following tests run in a process of its own: it starts
// the emulator, says where it is, and waits until its input ends.
func TestChild(t *testing.T) {
	if os.Getenv(childVariable) == "" {
		return
	}
	e := emulator.Start(t)
	fmt.Println("\nemulator", e.Addr())
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		t.Error(err)
	}
}

// child returns a process that runs TestChild in an environment without some
// variables and with some settings.
func child(t *testing.T, without []string, settings ...string) *exec.Cmd {
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v")
	c.Env = slices.DeleteFunc(os.Environ(), func(s string) bool {
		name, _, _ := strings.Cut(s, "=")
		return slices.Contains(without, name)
	})
	// With the race detector a program sleeps for a second before it ends.
	c.Env = append(c.Env, childVariable+"=1", "GORACE="+strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0"))
	c.Env = append(c.Env, settings...)
	return c
}

// startable skips a test that starts emulators where none may be started.
func startable(t *testing.T) {
	t.Helper()
	if os.Getenv("FIRESTORE_EMULATOR_HOST") != "" {
		t.Skip("FIRESTORE_EMULATOR_HOST is set: the tests do not start emulators")
	}
	emulator.Start(t)
}

// TestGone finds nothing left of an emulator when its process has ended, well
// or badly.
func TestGone(t *testing.T) {
	startable(t)
	for _, how := range []string{"ended", "killed"} {
		t.Run(how, func(t *testing.T) {
			if how == "killed" && runtime.GOOS != "linux" {
				t.Skip("only Linux ends it then")
			}
			c := child(t, nil)
			in, err := c.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			addr := ""
			lines := bufio.NewScanner(out)
			for addr == "" && lines.Scan() {
				addr, _ = strings.CutPrefix(lines.Text(), "emulator ")
				if addr == lines.Text() {
					addr = ""
				}
			}
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			if how == "killed" {
				if err := c.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			in.Close()
			rest, _ := io.ReadAll(out)
			if err := c.Wait(); (err == nil) != (how == "ended") {
				t.Errorf("%v: %s", err, rest)
			}
			// Each connection ends with the emulator, at the latest.
			for err == nil {
				if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
					t.Fatal(err)
				}
				if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("it is still there: %v", err)
				}
				conn.Close()
				conn, err = net.Dial("tcp", addr)
			}
			if !errors.Is(err, syscall.ECONNREFUSED) {
				t.Error(err)
			}
		})
	}
}

// TestMissing says what to install, and fails instead if nothing may be
// skipped.
func TestMissing(t *testing.T) {
	startable(t) // nothing else is missing
	for name, test := range map[string]struct{ setting, want string }{
		"java": {"PATH=" + t.TempDir(), "java is not installed (Debian: apt-get install default-jre-headless)"},
		"jar":  {emulator.JarVariable + "=/nowhere/emulator.jar", emulator.JarVariable + " names no file: /nowhere/emulator.jar"},
	} {
		t.Run(name, func(t *testing.T) {
			without := []string{"JAVA_HOME", "CIS_REQUIRE_ALL"}
			out, err := child(t, without, test.setting).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- SKIP") || !strings.Contains(string(out), "emulator: "+test.want) {
				t.Errorf("%v: %s", err, out)
			}
			out, err = child(t, without, test.setting, "CIS_REQUIRE_ALL=1").CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL") || !strings.Contains(string(out), "emulator: "+test.want) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	t.Run("host", func(t *testing.T) {
		out, err := child(t, nil, "FIRESTORE_EMULATOR_HOST=127.0.0.1:1").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "emulator: FIRESTORE_EMULATOR_HOST is 127.0.0.1:1, where no emulator answers") {
			t.Errorf("%v: %s", err, out)
		}
	})
}
