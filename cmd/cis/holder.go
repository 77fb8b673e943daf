package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// holder names this process, so that a later one on the same machine can tell
// whether it still runs: host, boot, namespace of processes, process and the
// time it started.
func holder() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%s/%s/%s/%d/%s", host, boot(), namespace(), os.Getpid(), started(os.Getpid()))
}

// dead reports whether the process that a holder names is known to have
// ended. One on another machine or in another container never is, unless this
// machine has started again since.
func dead(h string) bool {
	parts := strings.Split(h, "/")
	host, _ := os.Hostname()
	if len(parts) != 5 || parts[0] != host {
		return false
	}
	pid, err := strconv.Atoi(parts[3])
	if err != nil || pid <= 0 {
		return false
	}
	if parts[1] != boot() {
		return true
	}
	if parts[2] != namespace() {
		return false
	}
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	return parts[4] != "" && started(pid) != parts[4] // the number went to another process
}

func boot() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// namespace is the one in which numbers of processes mean something, as
// "pid:[4026531836]"; "" where there is only one.
func namespace() string {
	name, _ := os.Readlink("/proc/self/ns/pid")
	return name
}

// started is when a process began, in ticks since boot; "" where that cannot
// be told, and "ended" of one that nobody has collected yet.
func started(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is a name in parentheses that may hold anything.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 20 {
		return ""
	}
	if fields[0] == "Z" {
		return "ended"
	}
	return fields[19]
}
