package sync_test

import (
	"flag"
	"path/filepath"
	"testing"

	"example.org/cis/pipelines/sync/synctest"
)

var update = flag.Bool("update", false, "write what happens into the stories of testdata/scenarios; read the difference before you keep it")

const storyFolder = "../../testdata/scenarios"

// stories are all that there are.
func stories(t *testing.T) (list []*synctest.Story) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(storyFolder, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		s, err := synctest.ReadStory(file)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// TestScenarios lives through every story and compares all of it: what each
// run did, and the whole profile of everybody whom it wrote. It does so once
// more with each run repeated at the same clock, which must change nothing.
func TestScenarios(t *testing.T) {
	for _, s := range stories(t) {
		t.Run(s.Name, func(t *testing.T) {
			told, want := s.Run(t, false), s.File()
			if string(told) == string(want) {
				if !testing.Short() {
					if told = s.Run(t, true); string(told) != string(want) {
						t.Errorf("the story went another way when each run was repeated (-want +got):\n%s", synctest.Difference(want, told))
					}
				}
				return
			}
			if *update {
				if err := synctest.Rewrite(filepath.Join(storyFolder, s.Name+".txtar"), told); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("the story went another way (-want +got); -update takes it over:\n%s", synctest.Difference(want, told))
		})
	}
}
