package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	neturl "net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestSoak asks the service everything, again and again, from several callers at
// once: no request fails, and its memory stays what it was once it was warm. It
// takes some seconds, or as long as CIS_SOAK says, such as 1h.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("a soak takes time")
	}
	const statm = "/proc/%d/statm"
	if _, err := os.Stat(fmt.Sprintf(statm, os.Getpid())); err != nil {
		t.Skip("how much memory a process has is not known here")
	}
	took := 6 * time.Second
	if s := os.Getenv("CIS_SOAK"); s != "" {
		var err error
		if took, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	dir := rsaCompany(t, "300")
	var pid int
	url := servedBy(t, dir, &pid, "--dev")
	resident := func() (bytes int64) {
		b, err := os.ReadFile(fmt.Sprintf(statm, pid))
		if err != nil {
			t.Fatal(err)
		}
		var all, pages int64
		if _, err := fmt.Sscan(string(b), &all, &pages); err != nil {
			t.Fatal(err)
		}
		return pages * int64(os.Getpagesize())
	}
	tokens := []string{tokenOf(t, dir, "read:fullprofile display:all search:all read:explain read:history read:metrics"), tokenOf(t, dir, "display:staff search:all"), tokenOf(t, dir, "write")}
	_, list := get(t, url+"/v2/users/id/all", tokens[0])
	var page struct {
		Users []struct {
			UUID   string
			UserID string `json:"user_id"`
		}
	}
	if err := json.Unmarshal([]byte(list), &page); err != nil || len(page.Users) < 250 {
		t.Fatal(list)
	}
	var asked atomic.Int64
	soak := func(until time.Time) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for n := 0; time.Now().Before(until); n++ {
					u := page.Users[rand.IntN(len(page.Users))]
					path := []string{"/v2/user/uuid/" + u.UUID, "/v2/user/user_id/" + neturl.PathEscape(u.UserID), fmt.Sprintf("/v2/user/primary_username/nobody%d", rand.Int()),
						"/v2/users?active=any", "/v2/users/id/all", "/v2/user/uuid/" + u.UUID + "?fields=first_name,identities", "/v2/users/id/all/by_attribute_contains?staff_information.staff=true",
						"/v2/groups", "/v2/person/" + u.UUID + "/history", "/v2/person/" + u.UUID + "/explain", "/metrics", "/v2/users:export", fmt.Sprintf("/nothing/%d", rand.Int())}[rand.IntN(13)]
					status, body := get(t, url+path, tokens[rand.IntN(len(tokens))])
					if status >= 500 {
						t.Errorf("%s: %d %s", path, status, body)
						return
					}
					asked.Add(1)
				}
			})
		}
		wg.Wait()
		http.DefaultClient.CloseIdleConnections()
	}
	soak(time.Now().Add(took / 2)) // until what it remembers is as large as it gets
	warm := resident()
	soak(time.Now().Add(took / 2))
	after := resident()
	t.Logf("%d requests in %s; resident %d MB when warm, %d MB after", asked.Load(), took, warm>>20, after>>20)
	if after > warm+warm/4+32<<20 {
		t.Errorf("memory grew from %d MB to %d MB", warm>>20, after>>20)
	}
	if _, metrics := get(t, url+"/metrics", tokens[0]); strings.Count(metrics, "\n") > 1500 {
		t.Errorf("there are %d lines of metrics", strings.Count(metrics, "\n"))
	}
	http.DefaultClient.CloseIdleConnections()
}
