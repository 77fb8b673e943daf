package main

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// millis is the form of the dates in profiles.
const millis = "2006-01-02T15:04:05.000Z"

// floor is the program "floor".
func floor(args []string) error {
	flags := flag.NewFlagSet("floor", flag.ContinueOnError)
	ldif := flags.String("ldif", "", "people, as LDIF")
	report := flags.String("report", "", "workers, as a Workday report")
	list := flags.String("payloads", "", "sizes of what is to be signed")
	keyFile := flags.String("key", "", "RSA key (PKCS #1, DER); Ed25519 without one")
	if err := flags.Parse(args); err != nil {
		return err
	}
	files := append([]string{*ldif, *report}, flags.Args()...) // those after the flags hold JSON
	counts, errs := make([]int, len(files)), make([]error, len(files))
	var all sync.WaitGroup
	for i, name := range files {
		read := readValue
		switch {
		case i == 0:
			read = readLDIF
		case i == 1:
			read = readReport
		case strings.HasSuffix(name, ".jsonl"):
			read = readLines
		}
		all.Go(func() { counts[i], errs[i] = parse(name, read) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if slices.Contains(counts, 0) {
		return errors.New("floor: an empty file")
	}
	if *list == "" {
		return nil
	}
	f, err := os.Open(*list)
	if err != nil {
		return err
	}
	defer f.Close()
	sizes, err := readPayloads(f)
	if err != nil {
		return err
	}
	sign, err := signer(*keyFile)
	if err != nil {
		return err
	}
	return signAll(sizes, sign)
}

func parse(path string, read func(io.Reader) (int, error)) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, err := read(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return n, fmt.Errorf("floor: %s: %w", path, err)
	}
	return n, nil
}

// readLDIF parses entries into maps, one after the other, and counts them:
// folded lines are joined and base64 is decoded.
func readLDIF(r io.Reader) (entries int, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	entry := map[string][]string{}
	var line []byte
	add := func() {
		attribute, value, _ := bytes.Cut(line, []byte(":"))
		if len(value) > 0 && value[0] == ':' {
			decoded, err := base64.StdEncoding.AppendDecode(nil, bytes.TrimSpace(value[1:]))
			if err == nil { // what is wrong on purpose is not the floor's business
				entry[string(attribute)] = append(entry[string(attribute)], string(decoded))
			}
		} else if len(attribute) > 0 {
			entry[string(attribute)] = append(entry[string(attribute)], string(bytes.TrimLeft(value, " ")))
		}
		line = line[:0]
	}
	for lines.Scan() {
		b := lines.Bytes()
		if len(b) > 0 && b[0] == ' ' {
			line = append(line, b[1:]...)
			continue
		}
		add()
		if len(b) == 0 && entry["dn"] != nil {
			entries++
			clear(entry)
		}
		line = append(line, b...)
	}
	if add(); entry["dn"] != nil {
		entries++
	}
	return entries, lines.Err()
}

// readReport decodes the rows of a report, one after the other, and counts them.
func readReport(r io.Reader) (rows int, err error) {
	dec := json.NewDecoder(r)
	for range 3 { // {"Report_Entry": [
		if _, err := dec.Token(); err != nil {
			return rows, err
		}
	}
	for ; dec.More(); rows++ {
		row := map[string]any{}
		if err := dec.Decode(&row); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// readLines decodes a JSON value a line, and counts them. What is wrong on
// purpose is not the floor's business.
func readLines(r io.Reader) (values int, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		v := map[string]any{}
		if json.Unmarshal(lines.Bytes(), &v) == nil {
			values++
		}
	}
	return values, lines.Err()
}

// readValue decodes one JSON value.
func readValue(r io.Reader) (values int, err error) {
	return 1, json.NewDecoder(r).Decode(&map[string]any{})
}

// signer returns what signs a payload.
func signer(keyFile string) (func([]byte) error, error) {
	if keyFile == "" {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return func(b []byte) error { ed25519.Sign(key, b); return nil }, err
	}
	der, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	return func(b []byte) error {
		sum := sha256.Sum256(b)
		_, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
		return err
	}, err
}

// A payload is a size of payloads and how many have it.
type payload struct {
	size  int
	count int64
}

// signAll signs on all processors.
func signAll(list []payload, sign func([]byte) error) error {
	largest := 0
	for _, p := range list {
		largest = max(largest, p.size)
	}
	text := bytes.Repeat([]byte("e"), largest)
	var next atomic.Int64
	errs := make([]error, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for w := range errs {
		all.Go(func() {
			var before int64
			i := 0
			for n := next.Add(1) - 1; errs[w] == nil; n = next.Add(1) - 1 {
				for i < len(list) && n >= before+list[i].count {
					before += list[i].count
					i++
				}
				if i == len(list) {
					return
				}
				errs[w] = sign(text[:list[i].size])
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// An attribute is what is read of an attribute of a dumped profile.
type attribute struct {
	Signature struct {
		Publisher struct {
			Value string `json:"value"`
		} `json:"publisher"`
	} `json:"signature"`
	Metadata struct {
		LastModified string `json:"last_modified"`
	} `json:"metadata"`
	Value any `json:"value"`
}

// payloads is the program "payloads": it reads profiles, and writes a line
// "size count" for each size of the JWS signing inputs that were signed at the
// time in args. In a profile that was written then these are the attributes
// modified then, and active.
func payloads(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New("payloads: want a time")
	}
	counts := map[int]int64{}
	dec := json.NewDecoder(stdin)
	for dec.More() {
		var profile map[string]json.RawMessage
		if err := dec.Decode(&profile); err != nil {
			return fmt.Errorf("payloads: %w", err)
		}
		var written attribute
		if err := json.Unmarshal(profile["last_modified"], &written); err != nil {
			return fmt.Errorf("payloads: %w", err)
		}
		if written.Value != args[0] {
			continue
		}
		for name, raw := range profile {
			if name == "schema" {
				continue
			}
			list := map[string]json.RawMessage{name: raw}
			if name == "identities" || name == "staff_information" || name == "access_information" {
				if err := json.Unmarshal(raw, &list); err != nil {
					return fmt.Errorf("payloads: %w", err)
				}
				delete(list, name)
			}
			for name, raw := range list {
				var a attribute
				if err := json.Unmarshal(raw, &a); err != nil {
					return fmt.Errorf("payloads: %w", err)
				}
				jws := a.Signature.Publisher.Value
				if end := strings.LastIndexByte(jws, '.'); end > 0 && (name == "active" || a.Metadata.LastModified == args[0]) {
					counts[end]++
				}
			}
		}
	}
	for _, size := range slices.Sorted(maps.Keys(counts)) {
		if _, err := fmt.Fprintln(stdout, size, counts[size]); err != nil {
			return err
		}
	}
	return nil
}

// readPayloads reads what payloads writes.
func readPayloads(r io.Reader) (list []payload, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var p payload
		if _, err := fmt.Sscan(lines.Text(), &p.size, &p.count); err != nil {
			return nil, fmt.Errorf("payloads: %w", err)
		}
		list = append(list, p)
	}
	return list, lines.Err()
}
