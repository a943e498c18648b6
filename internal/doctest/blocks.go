package doctest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/buildtest"
)

// Block is a fenced block of a document.
type Block struct {
	Page string // its path in the repository, with slashes
	Line int    // of the backquotes that open it
	Info string // what stands behind them
	Text string // without the indent of the block
}

// NotRun gives the reason of a block that says that it cannot be run.
func (b Block) NotRun() (reason string, ok bool) {
	_, reason, ok = strings.Cut(b.Info, " not-run:")
	return strings.TrimSpace(reason), ok
}

func (b Block) String() string {
	return fmt.Sprintf("%s:%d: the block %q", b.Page, b.Line, "```"+b.Info)
}

// Blocks gives the blocks of a page with an info string, in order. It fails where there is none.
func Blocks(t testing.TB, page, info string) []Block {
	t.Helper()
	all, err := read(buildtest.Root(t), page)
	if err != nil {
		t.Fatal(err)
	}
	var out []Block
	for _, b := range all {
		if b.Info == info {
			out = append(out, b)
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no block %q", page, "```"+info)
	}
	return out
}

// Only gives the text of the one block of a page with an info string.
func Only(t testing.TB, page, info string) string {
	t.Helper()
	blocks := Blocks(t, page, info)
	if len(blocks) > 1 {
		t.Fatalf("%s has %d blocks %q, where one was meant", page, len(blocks), "```"+info)
	}
	return blocks[0].Text
}

// Script gives blocks as one script, and what has to appear in its output, in this order: the lines that start with "#> ".
func Script(blocks []Block) (script string, want []string) {
	for _, b := range blocks {
		for line := range strings.Lines(b.Text) {
			if shown, ok := strings.CutPrefix(line, "#> "); ok {
				want = append(want, strings.TrimSuffix(shown, "\n"))
			} else {
				script += line
			}
		}
	}
	return script, want
}

// All gives the blocks of all pages of the repository: of every *.md that is not ignored.
func All(root string) ([]Block, error) {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md")
	cmd.Dir = root
	var pages []string
	if out, err := cmd.Output(); err == nil {
		pages = strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	} else if pages, err = walk(root); err != nil { // an archive of the tree
		return nil, err
	}
	var all []Block
	for _, page := range pages {
		blocks, err := read(root, page)
		if os.IsNotExist(err) { // deleted, and git does not know yet
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, blocks...)
	}
	return all, nil
}

func walk(root string) (pages []string, err error) {
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != root):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".md"):
			page, err := filepath.Rel(root, path)
			pages = append(pages, filepath.ToSlash(page))
			return err
		}
		return nil
	})
	return pages, err
}

func read(root, page string) ([]Block, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page)))
	if err != nil {
		return nil, err
	}
	return parse(page, string(text))
}

// parse finds fences of three backquotes, with spaces before them where a block is part of a list (CommonMark, 4.5).
func parse(page, text string) (blocks []Block, err error) {
	const fence = "```"
	var open *Block
	indent, n := "", 0
	for line := range strings.Lines(text) {
		n++
		bare := strings.TrimLeft(line, " ")
		switch {
		case open == nil && strings.HasPrefix(bare, fence):
			indent = line[:len(line)-len(bare)]
			open = &Block{Page: page, Line: n, Info: strings.TrimSpace(strings.TrimPrefix(bare, fence))}
		case open != nil && strings.TrimSpace(line) == fence:
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.Text += strings.TrimPrefix(line, indent)
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s has no end", open)
	}
	return blocks, nil
}
