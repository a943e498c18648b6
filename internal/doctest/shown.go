package doctest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
)

// What differs from one run to the next stands in a page as it once was: in both texts it becomes a word. The order counts.
var passing = []struct {
	form *regexp.Regexp
	word string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?`), "TIME"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "ID"},
	{regexp.MustCompile(`\b[0-9a-f]{32,64}\b`), "ID"},
	{regexp.MustCompile(`"[A-Za-z0-9_-]{43}"`), `"KEY"`},
	{regexp.MustCompile(`\b127\.0\.0\.1:\d+`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`\b(\d+(\.\d+)?(h|m|s|ms|µs))+\b`), "DURATION"},
	{regexp.MustCompile(`\b(instance|pid) \d+`), "$1 N"},
	{regexp.MustCompile(`^( *plugin [\w-]+) [\w.+-]+,`), "$1 VERSION,"},
	{regexp.MustCompile(`(/[\w.-]+)+/dev\.hcl:\d+`), "dev.hcl:LINE"}, // that dev writes for itself
	{regexp.MustCompile(`(/[\w.-]+)+/([\w-]+\.hcl)\b`), "$2"},
}

func lasting(line string) string {
	for _, p := range passing {
		line = p.form.ReplaceAllString(line, p.word)
	}
	return strings.Join(strings.Fields(line), " ")
}

// Shown looks for the lines that a page shows in what really came: all of them, in this order, and directly below each other but
// where a line with "..." alone stands between them. Times, durations, random ids, ports, folders and versions of plugins may differ.
func Shown(t testing.TB, shown, came string) {
	t.Helper()
	if err := shows(shown, came); err != nil {
		t.Errorf("%v\nThis came:\n%s", err, came)
	}
}

func shows(shown, came string) error {
	lines := strings.Split(came, "\n")
	for i := range lines {
		lines[i] = lasting(lines[i])
	}
	var run []string
	for line := range strings.Lines(shown + "...\n") {
		if line = lasting(line); line != "..." && line != "…" {
			run = append(run, line)
			continue
		}
		n := 0
		for n+len(run) <= len(lines) && !slices.Equal(lines[n:n+len(run)], run) {
			n++
		}
		if n+len(run) > len(lines) {
			return fmt.Errorf("the page shows, and nothing does, in its place:\n%s", strings.Join(run, "\n"))
		}
		lines, run = lines[n+len(run):], nil
	}
	return nil
}

// Says looks for sentences, made of what is so, in a page.
func Says(t testing.TB, page string, sentences ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(buildtest.Root(t), page))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range sentences {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s does not say %q", page, want)
		}
	}
}

// Shaped compares a sample of a page with the real JSON: what the sample has is there, and is of the same type; what the sample
// does not have is not there.
func Shaped(t testing.TB, sample, came string) {
	t.Helper()
	var want, got any
	if err := json.Unmarshal([]byte(sample), &want); err != nil {
		t.Errorf("the page: %v\n%s", err, sample)
		return
	}
	if err := json.Unmarshal([]byte(came), &got); err != nil {
		t.Errorf("%v\n%s", err, came)
		return
	}
	if err := shaped("", want, got); err != nil {
		t.Errorf("%v\nthe page: %s\nThis came: %s", err, sample, came)
	}
}

func shaped(at string, want, got any) error {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is no object", at)
		}
		for k, v := range w {
			if _, ok := g[k]; !ok {
				return fmt.Errorf("only the page has %s/%s", at, k)
			}
			if err := shaped(at+"/"+k, v, g[k]); err != nil {
				return err
			}
		}
		for k := range g {
			if _, ok := w[k]; !ok {
				return fmt.Errorf("the page does not have %s/%s", at, k)
			}
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(w) > 0 && len(g) == 0 {
			return fmt.Errorf("%s is no list, or is empty", at)
		}
		if len(w) > 0 {
			return shaped(at+"/0", w[0], g[0])
		}
	default:
		if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", got) {
			return fmt.Errorf("%s is %T and not %T", at, got, want)
		}
	}
	return nil
}
