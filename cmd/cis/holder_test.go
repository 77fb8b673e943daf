package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

func TestDead(t *testing.T) {
	mine := strings.Split(holder(), "/")
	with := func(part int, value string) string {
		parts := append([]string(nil), mine...)
		parts[part] = value
		return strings.Join(parts, "/")
	}
	ended := exec.Command(os.Args[0], "-test.run=^$")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, holder string
		want         bool
	}{
		{"this process", holder(), false},
		{"another machine", with(0, "elsewhere"), false},
		{"another container", with(2, "pid:[1]"), false},
		{"a process that has ended", with(3, fmt.Sprint(ended.Process.Pid)), true},
		{"nonsense", "a/b", false},
		{"all processes", with(3, "-1"), false},
		{"nothing", "", false},
	} {
		if got := dead(test.holder); got != test.want {
			t.Errorf("%s: dead %t, want %t", test.name, got, test.want)
		}
	}
	if runtime.GOOS != "linux" {
		return
	}
	if !dead(with(1, "before")) {
		t.Error("a process before the machine started again is not dead")
	}
	if !dead(with(4, "1")) {
		t.Error("a process whose number went to another one is not dead")
	}
	// Killed, and not waited for: the number is still taken.
	c := exec.Command("sleep", "60")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	then := strings.Join([]string{mine[0], mine[1], mine[2], fmt.Sprint(c.Process.Pid), started(c.Process.Pid)}, "/")
	if dead(then) {
		t.Error("a process that sleeps is dead")
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for !dead(then) { // until the signal has arrived
		runtime.Gosched()
	}
}
