package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"example.org/cis/cmd/cis/internal/config"
	"example.org/cis/cmd/cis/internal/show"
	"example.org/cis/transforms/people"
)

type publishCommand struct {
	File         string `arg:"" help:"Signed profiles, whole or partial: one, one a line, or a JSON array; - is standard input."`
	To           string `required:"" placeholder:"URL" help:"The Change API, such as https://change.example.org."`
	Token        string `required:"" placeholder:"env:NAME|file:PATH" help:"Where the bearer token is, which needs the scope write."`
	UserID       string `name:"user-id" placeholder:"ID" help:"Whose the profile is, if it does not say so itself."`
	ValidateOnly bool   `help:"Ask what would become of it; nothing is written."`
}

func (publishCommand) Help() string {
	return `Sends profiles that were signed (cis sign) to a Change API, each for itself, and says what became of each attribute: taken, unchanged, or refused, with the code of the reason. It needs no configuration.

An attribute that is null says nothing, and one that stands there already is no change. An unsigned uuid only says whose a file is, and is not sent. A user_id in the profile, or --user-id, says whose it is. A file in which nothing is signed is not sent at all.

A service that is busy or down is asked again for a while, which is said; what it has done already it does not do twice.

Exit codes: 0 all was taken or stood there; 1 failed, or nothing was taken; 2 wrong usage; 3 something was refused.

Examples:

    cis publish signed.json --to https://change.example.org --token file:token
    cis publish signed.json --user-id 'ad|Mozilla-LDAP|ada' --to https://change.example.org --token env:TOKEN --validate-only
    cis sign people.jsonl --publisher hris | cis publish - --to https://change.example.org --token env:TOKEN --json`
}

// Times of asking a service.
const (
	publishTimeout = time.Minute
	publishTries   = 6
	publishPause   = 500 * time.Millisecond // before the second try; then twice as long each
	retryFor       = 16 * time.Second       // after it did not answer; all the pauses fit
	longestPause   = time.Minute            // that a service may ask for
	maxReply       = 1 << 20
)

// A publishedRow is what became of one attribute of a profile. The attribute is
// "" if all of them are meant.
type publishedRow struct {
	Attribute string `json:"attribute,omitzero"`
	Outcome   string `json:"outcome"`
	Code      string `json:"code,omitzero"`
	Reason    string `json:"reason,omitzero"`
}

// A publishedProfile is what became of one profile.
type publishedProfile struct {
	Place          string         `json:"place,omitzero"`
	UserID         string         `json:"user_id,omitzero"`
	Condition      string         `json:"condition,omitzero"`
	SequenceNumber string         `json:"sequence_number,omitzero"`
	Code           string         `json:"code,omitzero"`
	Description    string         `json:"description,omitzero"`
	Attributes     []publishedRow `json:"attributes"`
}

func (c publishCommand) Run(ctx context.Context, p *program) error {
	to, err := c.target()
	if err != nil {
		return usageError{err}
	}
	token, err := config.Secret(c.Token).Read(p.env)
	if err != nil {
		return usageError{fmt.Errorf("--token: %w", err)}
	}
	in, err := p.openInput(c.File)
	if err != nil {
		return err
	}
	defer in.Close()
	s := &sender{command: c, to: to, token: token, random: p.random, stderr: p.stderr, client: &http.Client{
		Timeout: publishTimeout,
		// A token is for whom it was given to.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	list := []publishedProfile{}
	err = readProfiles(in, func(place string, raw []byte) error {
		one, err := s.publish(ctx, place, raw)
		if err == nil {
			list = append(list, one)
		}
		return err
	})
	if err != nil && len(list) == 0 {
		return err
	}
	if err == nil && !slices.ContainsFunc(list, func(one publishedProfile) bool { return one.Code != notSigned }) {
		return usageError{fmt.Errorf("nothing in %s is signed: sign it with cis sign", show.Clean(c.name()))}
	}
	counts, fine := map[string]int64{}, 0
	for _, one := range list {
		if one.Code == "" {
			fine++
		}
		for _, a := range one.Attributes {
			if a.Attribute != "" {
				counts[a.Outcome]++
			}
		}
	}
	shown := p.print(struct {
		ValidateOnly bool               `json:"validate_only,omitzero"`
		Profiles     []publishedProfile `json:"profiles"`
	}{c.ValidateOnly, list}, func(w io.Writer) error { return c.show(p, w, list, counts, fine) })
	refused := counts[refusedOutcome] + int64(len(list)-fine)
	switch {
	case err != nil || shown != nil:
		return errors.Join(err, shown)
	case len(list) > 0 && fine == 0:
		return printedError{errors.New("nothing was taken")}
	case counts[refusedOutcome] == refused && refused > 0:
		return heldError(show.Plural(refused, "attribute was refused", "attributes were refused"))
	case refused > 0:
		return heldError("something was refused")
	}
	return nil
}

// The outcomes that are counted; those of an older service are another.
const (
	takenOutcome    = "taken"
	refusedOutcome  = "refused"
	acceptedOutcome = "accepted"
)

// Codes of what is not sent.
const (
	notSigned   = "not_signed"
	nobodyNamed = "integration_exception" // as the service has it
	invalidFile = "invalid_file"
)

// name is what the file is called in an error.
func (c publishCommand) name() string {
	if c.File == "-" {
		return "standard input"
	}
	return c.File
}

// show prints what became of each attribute, and how many there are of each outcome.
func (c publishCommand) show(p *program, w io.Writer, list []publishedProfile, counts map[string]int64, fine int) error {
	t := p.table("profile", "attribute", "outcome", "code", "why")
	for _, one := range list {
		for _, a := range one.Attributes {
			outcome := a.Outcome
			if c.ValidateOnly && (outcome == takenOutcome || outcome == acceptedOutcome) {
				outcome = "would be " + outcome
			}
			t.Row(orDash(strings.TrimSpace(one.Place+" "+one.UserID)), orDash(a.Attribute), outcome, orDash(a.Code), orDash(a.Reason))
		}
	}
	if t.Len() > 0 {
		if _, err := t.WriteTo(w); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	begin, would := show.Plural(int64(len(list)), "profile", "profiles"), ""
	if c.ValidateOnly {
		begin, would = "Nothing was written", " would be"
	}
	sum := fmt.Sprintf("%s: %s%s taken, %s unchanged, %s refused", begin, show.Plural(counts[takenOutcome], "attribute", "attributes"), would,
		show.Count(counts["unchanged"]), show.Count(counts[refusedOutcome]))
	if n := counts[acceptedOutcome]; n > 0 {
		// An older service does not tell what it wrote from what stood there.
		sum += fmt.Sprintf(", %s%s accepted", show.Count(n), would)
	}
	if n := len(list) - fine; n > 0 {
		sum += fmt.Sprintf("; nothing of %s", show.Plural(int64(n), "profile", "profiles"))
	}
	_, err := fmt.Fprintf(w, "%s.\n", sum)
	return err
}

// target is where profiles are sent: over TLS, unless it is this machine.
func (c publishCommand) target() (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(c.To, "/"))
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("--to: want a URL such as https://change.example.org")
	}
	ip := net.ParseIP(u.Hostname())
	here := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && !(u.Scheme == "http" && here) {
		return nil, errors.New("--to: want https, or http to this machine: a token goes with it")
	}
	for _, path := range []string{"/user", "/v2"} {
		u.Path = strings.TrimSuffix(u.Path, path)
	}
	u = u.JoinPath("v2", "user")
	query := url.Values{}
	if c.UserID != "" {
		query.Set("user_id", c.UserID)
	}
	if c.ValidateOnly {
		query.Set("validate_only", "true")
	}
	u.RawQuery = query.Encode()
	return u, nil
}

// A sender sends profiles to one service.
type sender struct {
	command publishCommand
	to      *url.URL
	token   string
	random  io.Reader
	stderr  io.Writer
	client  *http.Client
}

// publish sends one profile. An error ends the command: the service, or the
// token, will not do for the next one either.
func (s *sender) publish(ctx context.Context, place string, raw []byte) (publishedProfile, error) {
	out := publishedProfile{Place: place, Attributes: []publishedRow{}}
	notTaken := func(code, description string) (publishedProfile, error) {
		out.Code, out.Description = code, description
		out.Attributes = append(out.Attributes, publishedRow{Outcome: refusedOutcome, Code: code, Reason: description})
		return out, nil
	}
	profile, err := people.ParseProfile(raw)
	if err != nil {
		return notTaken(invalidFile, err.Error())
	}
	out.UserID = cmp.Or(profile.Value(people.UserID).Text(), s.command.UserID)
	sent, signed := &people.Profile{Schema: profile.Schema}, false
	for _, n := range profile.Attributes {
		signed = signed || n.Signature.Publisher.Value != ""
		if n.Path != people.UUID || n.Signature.Publisher.Value != "" {
			sent.Set(n.Path, n.Attribute)
		}
	}
	switch {
	case !signed:
		return notTaken(notSigned, "nothing in it is signed: sign it with cis sign")
	case out.UserID == "":
		return notTaken(nobodyNamed, "neither a user_id in the profile nor --user-id says whose it is")
	}
	status, body, err := s.post(ctx, sent.AppendJSON(nil))
	if err != nil {
		return out, err
	}
	var answer struct {
		Condition      string  `json:"condition"`
		SequenceNumber *string `json:"sequence_number"`
		Code           string  `json:"code"`
		Description    string  `json:"description"`
		Refused        []struct {
			Attribute string `json:"attribute"`
			Code      string `json:"code"`
		} `json:"refused"`
		Attributes []publishedRow `json:"attributes"`
	}
	unread := json.Unmarshal(body, &answer)
	switch {
	case status == http.StatusUnauthorized || status >= 500 || status == http.StatusTooManyRequests || answer.Code == "insufficient_scope":
		what := cmp.Or(answer.Code, http.StatusText(status))
		if answer.Description != "" {
			what += ": " + answer.Description
		}
		return out, fmt.Errorf("the service answered %d %s", status, show.Clean(what))
	case status != http.StatusOK:
		return notTaken(cmp.Or(answer.Code, strconv.Itoa(status)), cmp.Or(answer.Description, http.StatusText(status)))
	case unread != nil || answer.Condition == "":
		return out, errors.New("the service answered something that is no answer of a Change API")
	}
	out.Condition = answer.Condition
	if answer.SequenceNumber != nil {
		out.SequenceNumber = *answer.SequenceNumber
	}
	if answer.Attributes != nil {
		out.Attributes = answer.Attributes
		return out, nil
	}
	// An older service does not say more than whether it took them.
	refused := map[string]string{}
	for _, r := range answer.Refused {
		refused[r.Attribute] = r.Code
	}
	for _, n := range sent.Attributes {
		row := publishedRow{Attribute: string(n.Path), Outcome: acceptedOutcome}
		if code, ok := refused[row.Attribute]; ok {
			row.Outcome, row.Code = refusedOutcome, code
		}
		if !n.Value.IsNull() {
			out.Attributes = append(out.Attributes, row)
		}
	}
	return out, nil
}

// post sends a body, again and again while the service is busy or down: under
// one Idempotency-Key, so that it is done once.
func (s *sender) post(ctx context.Context, body []byte) (status int, answer []byte, err error) {
	var key [16]byte
	if _, err := io.ReadFull(s.random, key[:]); err != nil {
		return 0, nil, fmt.Errorf("make a key: %w", err)
	}
	var until time.Time // that it is tried, once it has not answered
	for try, pause := 1, publishPause; ; try, pause = try+1, 2*pause {
		var after string
		status, after, answer, err = s.once(ctx, until, body, hex.EncodeToString(key[:]))
		again := err != nil || status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable || status == http.StatusConflict
		if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
			again = false // it will not be there in a moment either
		}
		if ctx.Err() != nil || !again || try == publishTries {
			return status, answer, err
		}
		wait := pause
		if seconds, bad := strconv.Atoi(after); bad == nil && seconds >= 0 {
			wait = min(time.Duration(seconds)*time.Second, longestPause)
		}
		switch {
		case err == nil:
			fmt.Fprintf(s.stderr, "cis: %s answered %d: trying again in %s\n", show.Clean(s.to.Host), status, wait)
		case until.IsZero():
			until = time.Now().Add(retryFor)
			fmt.Fprintf(s.stderr, "cis: %s: trying again for %s\n", show.Clean(err.Error()), retryFor)
		case time.Now().Add(wait).After(until):
			return status, answer, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

func (s *sender) once(ctx context.Context, until time.Time, body []byte, key string) (status int, after string, answer []byte, err error) {
	if !until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, until)
		defer cancel()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.to.String(), bytes.NewReader(body))
	if err != nil {
		return 0, "", nil, errors.New("--to: not a URL that can be asked")
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", key)
	r.Header.Set("Prefer", "return=representation")
	resp, err := s.client.Do(r)
	if err != nil {
		if of, ok := errors.AsType[*url.Error](err); ok {
			err = of.Err // without the URL, in which the user_id is
		}
		return 0, "", nil, fmt.Errorf("ask %s: %w", s.to.Host, err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return 0, "", nil, fmt.Errorf("ask %s: %w", s.to.Host, err)
	}
	return resp.StatusCode, resp.Header.Get("Retry-After"), answer, nil
}
