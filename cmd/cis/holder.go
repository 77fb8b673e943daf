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
// whether it still runs: host, boot, process and the time it started.
func holder() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%s/%s/%d/%s", host, boot(), os.Getpid(), started(os.Getpid()))
}

// dead reports whether the process that a holder names is known to have
// ended. One on another machine never is.
func dead(h string) bool {
	parts := strings.Split(h, "/")
	host, _ := os.Hostname()
	if len(parts) != 4 || parts[0] != host {
		return false
	}
	pid, err := strconv.Atoi(parts[2])
	if err != nil {
		return false
	}
	if parts[1] != boot() {
		return true
	}
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	return parts[3] != "" && started(pid) != parts[3] // the number went to another process
}

func boot() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
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
