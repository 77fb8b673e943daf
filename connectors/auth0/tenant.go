package auth0

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/cis/connectors/web"
)

const (
	// perPage is the most users that Auth0 puts on a page.
	perPage = 100
	// reachable is how many users Auth0 lets be read page by page. A total of
	// as many may be one that was cut off there.
	reachable = 1000
	// maxJob bounds what is said of a job.
	maxJob = 256 << 10
)

// ask asks for users, and hands them on.
func (x *extraction) ask(ctx context.Context, query url.Values, name string) (p page, rows, fresh int64, err error) {
	query.Set("fields", strings.Join(x.mapping.fields(), ","))
	query.Set("include_fields", "true")
	a, err := x.client.Do(ctx, web.Request{Path: "/api/v2/users", Query: query})
	if err != nil {
		return page{}, 0, 0, err
	}
	defer a.Close()
	if err := a.JSON(); err != nil {
		return page{}, 0, 0, err
	}
	r := newReader(a, x.cfg.MaxBytes, func(e entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		isNew, err := x.user(e.raw, fmt.Sprintf("%s:user %d", name, e.number))
		if isNew {
			fresh++
		}
		return err
	})
	p, err = r.page()
	x.bytes += r.m.n
	return p, r.rows, fresh, err
}

// pages reads page by page, until as many users came as there are.
func (x *extraction) pages(ctx context.Context) error {
	came := int64(0)
	for n := 0; x.total < 0 || came < x.total; n++ {
		p, rows, fresh, err := x.ask(ctx, url.Values{
			"per_page": {strconv.Itoa(perPage)}, "page": {strconv.Itoa(n)}, "include_totals": {"true"},
		}, fmt.Sprintf("users, page %d", n))
		switch {
		case err != nil:
			return err
		case p.total < 0:
			return &web.Fault{Reason: "an answer does not say how many users there are"}
		case p.total >= reachable:
			return &web.Fault{Reason: fmt.Sprintf("the tenant has %d users or more, and those beyond cannot be read page by page: set paging to export", reachable)}
		case x.total >= 0 && p.total != x.total:
			return &web.Fault{Reason: "the number of users changed while they were read"}
		case p.start >= 0 && p.start != came, n > 0 && rows > 0 && fresh == 0:
			return &web.Fault{Reason: fmt.Sprintf("page %d is not the one that was asked for", n)}
		}
		x.total = p.total
		if came += rows; rows == 0 {
			break
		}
	}
	if x.users != x.total {
		return &web.Fault{Reason: fmt.Sprintf("%d of %d users came", x.users, x.total)}
	}
	x.end = "as many users as the tenant says"
	return nil
}

// checkpoints reads until an answer has no next.
func (x *extraction) checkpoints(ctx context.Context) error {
	const use = ": set paging to export"
	asked := map[digest]bool{} // for what was gone on with
	from := ""
	for n := 0; ; n++ {
		query := url.Values{"take": {strconv.Itoa(perPage)}}
		if from != "" {
			query.Set("from", from)
		}
		p, rows, fresh, err := x.ask(ctx, query, fmt.Sprintf("users, checkpoint %d", n))
		var f *web.Fault
		switch {
		case n == 0 && errors.As(err, &f) && f.Status == http.StatusBadRequest:
			return &web.Fault{Reason: f.Reason + ", as one that has no checkpoints of users does" + use, Status: f.Status}
		case err != nil:
			return err
		case p.bare || p.start >= 0 || p.limit >= 0:
			// Whoever does not know of checkpoints answers with the first page.
			return &web.Fault{Reason: "the server has no checkpoints of users" + use}
		case n > 0 && rows > 0 && fresh == 0:
			return &web.Fault{Reason: fmt.Sprintf("checkpoint %d brought users that had come already", n)}
		case rows == 0 && p.next != "":
			return &web.Fault{Reason: fmt.Sprintf("checkpoint %d brought no users and says that there are more", n)}
		}
		if p.total >= 0 {
			x.total = p.total
		}
		if p.next == "" {
			break
		}
		if from = p.next; asked[digestOf([]byte(from))] {
			return &web.Fault{Reason: "a checkpoint came twice"}
		}
		asked[digestOf([]byte(from))] = true
	}
	if x.total >= 0 && x.users != x.total {
		return &web.Fault{Reason: fmt.Sprintf("%d of %d users came", x.users, x.total)}
	}
	x.end = "no next checkpoint"
	return nil
}

// A job is what Auth0 says of an export.
type job struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Location string `json:"location"`
	Done     int    `json:"percentage_done"`
}

// polls are the pauses between two questions after a job; the last one is
// repeated until waited as long as maxExport. Exports of a million users take
// some minutes.
var polls = []time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second}

// maxExport is how long a job may take.
const maxExport = time.Hour

// export has a job write all users to a file, and reads that.
func (x *extraction) export(ctx context.Context) error {
	type field struct {
		Name string `json:"name"`
	}
	request := struct {
		Format string  `json:"format"`
		Fields []field `json:"fields"`
	}{Format: "json"}
	for _, name := range x.mapping.fields() {
		request.Fields = append(request.Fields, field{name})
	}
	b, err := json.Marshal(request)
	if err != nil {
		return err // of a struct of strings
	}
	j, err := x.job(ctx, web.Request{Method: http.MethodPost, Path: "/api/v2/jobs/users-exports", Body: b})
	if err != nil {
		return err
	}
	if j.ID == "" {
		return &web.Fault{Reason: "the export job has no id"}
	}
	id := j.ID
	if j, err = x.wait(ctx, id, j); err != nil {
		return err
	}
	err = x.download(ctx, j.Location)
	if f := (*web.Fault)(nil); x.bytes == 0 && errors.As(err, &f) && f.Status == http.StatusForbidden {
		// A location is valid for a minute; the job can be asked for another.
		if j, err = x.wait(ctx, id, job{}); err != nil {
			return err
		}
		err = x.download(ctx, j.Location)
	}
	return err
}

// job asks for a job, or for one to be begun.
func (x *extraction) job(ctx context.Context, r web.Request) (j job, err error) {
	a, err := x.client.Do(ctx, r)
	if err != nil {
		return job{}, err
	}
	defer a.Close()
	raw, err := body(a, maxJob)
	if err != nil {
		return job{}, err
	}
	if err := json.Unmarshal(raw, &j); err != nil {
		return job{}, &web.Fault{Reason: "the answer is not the JSON of a job"}
	}
	return j, nil
}

// wait asks for a job until it is completed. j is what was said of it last.
func (x *extraction) wait(ctx context.Context, id string, j job) (job, error) {
	var waited time.Duration
	for n := 0; ; n++ {
		switch j.Status {
		case "completed":
			if j.Location != "" {
				return j, nil
			}
			if n > 0 {
				return job{}, &web.Fault{Reason: "the export job is completed and has no location"}
			}
		case "", "pending", "processing":
		case "failed":
			return job{}, &web.Fault{Reason: "the export job failed"}
		default:
			return job{}, &web.Fault{Reason: "the export job is in a state that is not known here"}
		}
		if n > 0 {
			pause := polls[min(n, len(polls))-1]
			if waited += pause; waited > maxExport {
				return job{}, &web.Fault{Reason: fmt.Sprintf("the export job was not completed within %s", maxExport)}
			}
			x.opts.Note(fmt.Sprintf("export of users of %s: %d %% done, waiting %s", x.client.Host(), j.Done, pause))
			if err := x.opts.Sleep(ctx, pause); err != nil {
				return job{}, err
			}
		}
		var err error
		if j, err = x.job(ctx, web.Request{Path: "/api/v2/jobs/" + url.PathEscape(id)}); err != nil {
			return job{}, err
		}
	}
}

// download reads an export from where the job put it, without credentials.
func (x *extraction) download(ctx context.Context, location string) error {
	u, err := url.Parse(location)
	if err != nil || u.Scheme != "https" || !x.mayLoad(u) {
		return &web.Fault{Reason: "the export lies on a host that export_hosts does not allow"}
	}
	a, err := x.client.Do(ctx, web.Request{Path: location, Accept: "*/*", Anonymous: true})
	var f *web.Fault
	switch {
	case errors.As(err, &f) && f.Status == http.StatusForbidden:
		return &web.Fault{Reason: "the link to the export is not valid, or no longer (status 403)", Status: f.Status}
	case errors.As(err, &f):
		return &web.Fault{Reason: "export: " + f.Reason, Status: f.Status, Passing: f.Passing}
	case err != nil:
		return err
	}
	defer a.Close()
	in := bufio.NewReader(a)
	magic, err := in.Peek(2)
	if err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
		return x.stream(ctx, in, "export") // the transport has undone the compression, or there is none
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return &web.Fault{Reason: "export: the compression is broken"}
	}
	return x.stream(ctx, z, "export")
}

// mayLoad reports whether an export may be downloaded from the host of u.
func (x *extraction) mayLoad(u *url.URL) bool {
	host := strings.ToLower(u.Host)
	if u.Port() == "443" {
		host = strings.ToLower(u.Hostname())
	}
	for _, pattern := range x.cfg.ExportHosts {
		if ok, err := path.Match(strings.ToLower(pattern), host); ok && err == nil {
			return true
		}
	}
	return false
}

// withDefaults fills in what waiting needs.
func withDefaults(o web.Options) web.Options {
	if o.Note == nil {
		o.Note = func(string) {}
	}
	if o.Sleep == nil {
		o.Sleep = func(ctx context.Context, d time.Duration) error {
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-timer.C:
				return nil
			}
		}
	}
	return o
}
