package emulator

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"google.golang.org/api/option"
)

// A Proxy stands between an emulator and its clients and makes trouble, which
// begins at once, on connections that are open too, and lasts until [Proxy.Heal].
// It is for one test, whose goroutine alone may make trouble.
type Proxy struct {
	tb    testing.TB
	proxy *toxiproxy.Proxy
}

// A Direction is the way that data takes.
type Direction string

// The directions. What befalls requests keeps them from the server; what
// befalls answers lets the server act, and the client does not hear of it.
const (
	Requests Direction = "upstream"
	Answers  Direction = "downstream"
)

// Proxy starts a proxy in front of the emulator, which passes all on untouched
// at first, and stops it when the test ends.
func (e *Emulator) Proxy(tb testing.TB) *Proxy {
	tb.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &Proxy{tb: tb, proxy: toxiproxy.NewProxy(server, "firestore", "127.0.0.1:0", e.addr)}
	p.Restore()
	tb.Cleanup(p.proxy.Stop)
	return p
}

// Addr returns the host and port at which the proxy listens, also while it is
// cut.
func (p *Proxy) Addr() string { return p.proxy.Listen }

// Env is [Emulator.Env] through the proxy.
func (p *Proxy) Env(project string) []string { return environment(p.Addr(), project) }

// Options is [Emulator.Options] through the proxy.
func (p *Proxy) Options(faults ...*Faults) []option.ClientOption { return options(p.Addr(), faults) }

// Latency delays all that goes in a direction by d, give or take jitter.
func (p *Proxy) Latency(way Direction, d, jitter time.Duration) {
	p.tb.Helper()
	p.toxic("latency", way, fmt.Sprintf(`"latency":%d,"jitter":%d`, d.Milliseconds(), jitter.Milliseconds()))
}

// Reset ends each connection when d has passed since data first went in a
// direction; the data is lost. A connection made from now on is reset, one that
// was open before is closed.
func (p *Proxy) Reset(way Direction, d time.Duration) {
	p.tb.Helper()
	p.toxic("reset_peer", way, fmt.Sprintf(`"timeout":%d`, d.Milliseconds()))
}

// LimitData ends each connection when n bytes have gone in a direction, from
// now on. The frames of HTTP/2's own count too.
func (p *Proxy) LimitData(way Direction, n int) {
	p.tb.Helper()
	p.toxic("limit_data", way, fmt.Sprintf(`"bytes":%d`, n))
}

// BlackHole loses all that goes in a direction, and ends each connection when
// nothing has come for d; never, if d is 0.
func (p *Proxy) BlackHole(way Direction, d time.Duration) {
	p.tb.Helper()
	p.toxic("timeout", way, fmt.Sprintf(`"timeout":%d`, d.Milliseconds()))
}

// Cut ends all connections and refuses others.
func (p *Proxy) Cut() { p.proxy.Stop() }

// Restore ends what Cut began. Other trouble goes on.
func (p *Proxy) Restore() {
	p.tb.Helper()
	if err := p.proxy.Start(); err != nil && !errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
		p.tb.Fatalf("emulator: starting the proxy: %v", err)
	}
}

// Heal ends all trouble but that of Cut.
func (p *Proxy) Heal() { p.proxy.Toxics.ResetToxics(p.tb.Context()) }

// toxic makes one kind of trouble in one direction, instead of what there was
// of it.
func (p *Proxy) toxic(kind string, way Direction, attributes string) {
	p.tb.Helper()
	name := kind + " " + string(way)
	if p.proxy.Toxics.GetToxic(name) != nil {
		if err := p.proxy.Toxics.RemoveToxic(p.tb.Context(), name); err != nil {
			p.tb.Fatalf("emulator: proxy: %s: %v", name, err)
		}
	}
	toxic := fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"attributes":{%s}}`, name, kind, way, attributes)
	if _, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		p.tb.Fatalf("emulator: proxy: %s: %v", name, err)
	}
}
