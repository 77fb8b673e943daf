package main

import (
	"runtime/debug"
	"testing"
)

func TestVersionOf(t *testing.T) {
	revision := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "1a2b3c4d5e6f"}}
	for _, c := range []struct {
		version  string
		settings []debug.BuildSetting
		want     string
	}{
		{"v1.2.3", revision, "v1.2.3"},
		{"(devel)", revision, "devel-1a2b3c4"},
		{"", revision, "devel-1a2b3c4"},
		{"(devel)", nil, "(devel)"},
		{"", []debug.BuildSetting{{Key: "vcs.revision", Value: "1a2"}}, "devel-1a2"},
	} {
		if got := versionOf(&debug.BuildInfo{Main: debug.Module{Version: c.version}, Settings: c.settings}); got != c.want {
			t.Errorf("%q with %v is %q, want %q", c.version, c.settings, got, c.want)
		}
	}
}
