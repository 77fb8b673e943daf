package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

type versionCommand struct{}

func (versionCommand) Help() string {
	return `Example:

    cis version`
}

// version is the version of the module that the program was built from, or else
// the revision.
func version() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return devel
	}
	return versionOf(build)
}

const devel = "(devel)"

func versionOf(build *debug.BuildInfo) string {
	if v := build.Main.Version; v != "" && v != devel {
		return v
	}
	for _, s := range build.Settings {
		if s.Key == "vcs.revision" && s.Value != "" {
			return "devel-" + s.Value[:min(7, len(s.Value))]
		}
	}
	return devel
}

func (versionCommand) Run(p *program) error {
	v := struct {
		Version  string `json:"version"`
		Revision string `json:"revision,omitzero"`
		Modified bool   `json:"modified,omitzero"`
		Go       string `json:"go"`
		Platform string `json:"platform"`
	}{Version: version(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, s := range build.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	return p.print(v, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "cis %s %s %s %s\n", v.Version, v.Revision, v.Go, v.Platform)
		return err
	})
}
