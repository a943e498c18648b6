package doctest_test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/doctest"
)

// Also a block that is not run is in the language that it says.
func TestSyntax(t *testing.T) {
	t.Parallel()
	blocks, err := doctest.All(buildtest.Root(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks {
		switch language, _, _ := strings.Cut(b.Info, " "); language {
		case "json":
			for d := json.NewDecoder(strings.NewReader(b.Text)); ; {
				var v any
				if err := d.Decode(&v); err == io.EOF {
					break
				} else if err != nil {
					t.Errorf("%s: %v", b, err)
					break
				}
			}
		case "hcl":
			if _, diags := hclparse.NewParser().ParseHCL([]byte(b.Text), b.Page); diags.HasErrors() {
				t.Errorf("%s: %v", b, diags)
			}
		case "sh":
			cmd := exec.Command("bash", "-n")
			cmd.Stdin = strings.NewReader(b.Text)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", b, err, out)
			}
		}
	}
}

// commands gives the lines of a shell block that begin with a command, without comments and variables before it.
func commands(b doctest.Block, command string) (out []string) {
	for line := range strings.Lines(b.Text) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
		for part := range strings.SplitSeq(line, " && ") {
			if strings.HasPrefix(part, command+" ") {
				out = append(out, strings.TrimSpace(part))
			}
		}
	}
	return out
}

// What the pages have made of the tree is made: by targets that there are, with variables that they read.
func TestMake(t *testing.T) {
	t.Parallel()
	root := buildtest.Root(t)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	// These would take minutes, or want what only a release has.
	for _, taken := range [][]doctest.Block{doctest.Blocks(t, "README.md", "sh make"), doctest.Blocks(t, "docs/performance.md", "sh make"), doctest.Blocks(t, "docs/releasing.md", "sh make")} {
		if len(commands(taken[0], "make")) == 0 {
			t.Errorf("%s makes nothing", taken[0])
		}
	}
	all, err := doctest.All(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		for _, line := range commands(b, "make") {
			cmd := exec.Command("bash", "-c", strings.Replace(line, "make", "make -n", 1))
			cmd.Dir, cmd.Env = root, append(os.Environ(), "MAKEFLAGS=")
			if out, err := cmd.CombinedOutput(); err != nil || len(out) == 0 {
				t.Errorf("%s: %s: %v\n%s", b, line, err, out)
			}
			for _, v := range regexp.MustCompile(`\b([A-Z_]+)=`).FindAllStringSubmatch(line, -1) {
				if !strings.Contains(string(makefile), "$("+v[1]+")") && !strings.Contains(string(makefile), v[1]+" ?=") {
					t.Errorf("%s: the Makefile does not read %s", b, v[1])
				}
			}
		}
	}
}

// The measurements that a page names are there.
func TestMeasurements(t *testing.T) {
	t.Parallel()
	root := buildtest.Root(t)
	form := regexp.MustCompile(`^go test (\./\S+) (?:-run '?([^' ]+)'? ?)?(?:-bench '?([^' ]+)'?)?(?: -benchtime 3x)?(?: -v)?$`)
	for _, b := range doctest.Blocks(t, "docs/performance.md", "sh go test") {
		lines := commands(b, "go")
		if len(lines) != strings.Count(b.Text, "\n") {
			t.Errorf("%s has other commands", b)
		}
		for _, line := range lines {
			m := form.FindStringSubmatch(line)
			if m == nil {
				t.Errorf("%s: what is %q?", b, line)
				continue
			}
			if m[2] == "^$" {
				m[2] = ""
			}
			files, err := filepath.Glob(filepath.Join(root, m[1], "*_test.go"))
			if err != nil || m[2]+m[3] == "" {
				t.Fatal(line, err)
			}
			for prefix, wanted := range map[string]string{"Test": m[2], "Benchmark": m[3]} {
				found := wanted == ""
				for _, file := range files {
					text, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					for _, f := range regexp.MustCompile(`(?m)^func (`+prefix+`\w*)\(`).FindAllSubmatch(text, -1) {
						found = found || regexp.MustCompile(wanted).Match(f[1])
					}
				}
				if !found {
					t.Errorf("%s: no %s%s in %s", b, prefix, wanted, m[1])
				}
			}
		}
	}
}

// The tree that the architecture draws is there.
func TestTree(t *testing.T) {
	t.Parallel()
	root, above := buildtest.Root(t), ""
	for line := range strings.Lines(doctest.Only(t, "docs/architecture.md", "text tree")) {
		paths, _, _ := strings.Cut(strings.TrimSpace(line), "    ")
		for _, path := range strings.Fields(paths) {
			if path = strings.TrimSpace(path); strings.HasPrefix(line, "  ") {
				path = above + path
			} else {
				above = path
			}
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(path))); err != nil {
				t.Errorf("the tree has no %s: %v", path, err)
			}
		}
	}
	for _, folder := range []string{"host", "sdk", "plugins"} {
		entries, err := os.ReadDir(filepath.Join(root, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			drawn := regexp.MustCompile(`(?m)^ *(` + folder + `/)?` + e.Name() + `/`)
			if e.IsDir() && e.Name() != "testdata" && e.Name() != "internal" && !drawn.MatchString(doctest.Only(t, "docs/architecture.md", "text tree")) {
				t.Errorf("the architecture does not draw %s/%s", folder, e.Name())
			}
		}
	}
}
