// Package emulator runs Google's Firestore emulator for tests, on 127.0.0.1,
// and makes trouble between it and its clients. It needs Java and the
// emulator; without them tests are skipped, or fail if CIS_REQUIRE_ALL is 1.
//
// A test binary has at most one emulator: a JVM takes seconds to start and
// much memory, and projects keep tests apart well enough. [Start] starts it
// when the first test asks, or takes the one that FIRESTORE_EMULATOR_HOST
// names. [M] stops it when the tests have ended:
//
//	func TestMain(m *testing.M) { os.Exit(emulator.M{M: m}.Run()) }
//
// On Linux it is also killed if the binary dies before.
//
// The emulator is not Firestore. It does not enforce composite indexes. More
// than some eight transactions that want the same document end with Aborted,
// "Transaction lock timeout". A commit of more than 10 MiB is never answered,
// and neither side gives up but by a deadline; a firestore.BulkWriter also
// waits without end for a server that is gone. So always set a deadline.
package emulator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// hostVariable is where the clients of Google's look for an emulator.
const hostVariable = "FIRESTORE_EMULATOR_HOST"

// An Emulator is a running Firestore emulator.
type Emulator struct {
	addr    string
	process *process // nil if somebody else runs it
}

// shared is the emulator of the test binary, which all of its packages use.
// It cannot be handed from test to test, as no test is the first by design.
var shared struct {
	sync.Mutex
	emulator *Emulator
	err      error // why there is none; it is not tried again
}

// Start returns the emulator of the test binary, and starts it if need be. What
// it says during a test is shown if the test fails.
func Start(tb testing.TB) *Emulator {
	tb.Helper()
	e, err := share(tb.Context())
	if missing := (*missingError)(nil); errors.As(err, &missing) && os.Getenv("CIS_REQUIRE_ALL") != "1" {
		tb.Skipf("emulator: %v", err)
	}
	if err != nil {
		tb.Fatalf("emulator: %v", err)
	}
	if e.process != nil {
		from := e.process.said.mark()
		tb.Cleanup(func() {
			if tb.Failed() {
				tb.Logf("the Firestore emulator said during this test:\n%s", e.process.said.since(from))
			}
		})
	}
	return e
}

func share(ctx context.Context) (*Emulator, error) {
	shared.Lock()
	defer shared.Unlock()
	if shared.emulator == nil && shared.err == nil {
		shared.emulator, shared.err = open(ctx)
	}
	if e := shared.emulator; e != nil && e.process != nil && e.process.ended() {
		return nil, fmt.Errorf("the Firestore emulator ended:\n%s", e.process.said.since(0))
	}
	return shared.emulator, shared.err
}

func open(ctx context.Context) (*Emulator, error) {
	if addr := os.Getenv(hostVariable); addr != "" {
		if _, rest, ok := strings.Cut(addr, "://"); ok {
			addr = rest
		}
		if err := answers(ctx, addr); err != nil {
			return nil, fmt.Errorf("%s is %s, where no emulator answers: %w", hostVariable, addr, err)
		}
		return &Emulator{addr: addr}, nil
	}
	java, jar, err := find(ctx)
	if err != nil {
		return nil, err
	}
	p, addr, err := run(ctx, java, jar)
	if err != nil {
		return nil, err
	}
	return &Emulator{addr: addr, process: p}, nil
}

// Stop ends the emulator that [Start] started, if it did, and waits for its
// end. [M] calls it.
func Stop() {
	shared.Lock()
	defer shared.Unlock()
	if e := shared.emulator; e != nil && e.process != nil {
		e.process.kill()
	}
	shared.emulator, shared.err = nil, nil
}

// M runs tests as a [testing.M] does, and then stops the emulator. It may be
// given to goleak.VerifyTestMain: nothing of the emulator stays behind, but
// toxiproxy forgets goroutines of connections that a [Proxy] ended, and a
// firestore client those of its own connection where FIRESTORE_EMULATOR_HOST
// and [Emulator.Options] are both given.
type M struct{ *testing.M }

// Run runs the tests, stops the emulator and returns the exit code.
func (m M) Run() int {
	defer Stop()
	return m.M.Run()
}

// Addr returns the host and port at which the emulator listens.
func (e *Emulator) Addr() string { return e.addr }

// Project returns the ID of a project that nobody else uses: what is in it is
// of this test alone. Its default database is emptied when the test ends.
func (e *Emulator) Project(tb testing.TB) string {
	tb.Helper()
	project := "cis-" + strings.ToLower(rand.Text()) // 30 characters, the most that an ID may have
	tb.Cleanup(func() {
		// It spares memory. Whether it works is no matter of the test, which
		// may have stopped the emulator itself.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), 10*time.Second)
		defer cancel()
		_ = e.clear(ctx, project, "(default)")
	})
	return project
}

// Env returns what makes a child process use the emulator and a project, to be
// appended to its environment.
func (e *Emulator) Env(project string) []string { return environment(e.addr, project) }

func environment(addr, project string) []string {
	return []string{hostVariable + "=" + addr, "GOOGLE_CLOUD_PROJECT=" + project}
}

// Clear deletes all documents in databases of a project, or in its default
// database if none is named.
func (e *Emulator) Clear(tb testing.TB, project string, databases ...string) {
	tb.Helper()
	if len(databases) == 0 {
		databases = []string{"(default)"}
	}
	for _, database := range databases {
		if err := e.clear(tb.Context(), project, database); err != nil {
			tb.Fatalf("emulator: clearing %s of %s: %v", database, project, err)
		}
	}
}

func (e *Emulator) clear(ctx context.Context, project, database string) error {
	return call(ctx, http.MethodDelete, (&url.URL{
		Scheme: "http", Host: e.addr,
		Path: "/emulator/v1/projects/" + project + "/databases/" + database + "/documents",
	}).String())
}

// Options returns what makes a Firestore client talk to the emulator, whatever
// the environment says. Further options may be appended; of the faults the
// first are the outermost.
func (e *Emulator) Options(faults ...*Faults) []option.ClientOption { return options(e.addr, faults) }

func options(addr string, faults []*Faults) []option.ClientOption {
	o := []option.ClientOption{
		// If FIRESTORE_EMULATOR_HOST is set, the client comes with a
		// connection of its own, which would pass by proxies and faults.
		option.WithGRPCConn(nil),
		option.WithEndpoint(addr),
		option.WithoutAuthentication(),
		option.WithTelemetryDisabled(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		option.WithGRPCDialOption(grpc.WithPerRPCCredentials(owner{})),
	}
	for _, f := range faults {
		o = append(o,
			option.WithGRPCDialOption(grpc.WithChainUnaryInterceptor(f.Unary)),
			option.WithGRPCDialOption(grpc.WithChainStreamInterceptor(f.Stream)))
	}
	return o
}

// owner is who the emulator lets do everything. Security rules bind anybody
// else.
type owner struct{}

func (owner) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer owner"}, nil
}

func (owner) RequireTransportSecurity() bool { return false }

// answers returns nil if an emulator answers at addr.
func answers(ctx context.Context, addr string) error {
	return call(ctx, http.MethodGet, "http://"+addr+"/")
}

func call(ctx context.Context, method, target string) error {
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return err
	}
	// Nothing stays behind that a test for leaks would find.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, target, resp.Status)
	}
	return nil
}
