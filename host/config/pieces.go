package config

import (
	"bytes"
	"runtime"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// pieceSize is about how many bytes of a file are parsed at a time. The library's list of tokens grows by copying, the longer
// the more often: short pieces take half the memory of long ones.
const pieceSize = 2 << 10

// piece is a run of whole lines of a file, at the top of which nothing is open.
type piece struct {
	text []byte
	line int // of the file, from 1
}

// pieces reads a long file in pieces, side by side: the syntax tree of ten thousand realms is many times as large as what it
// says. The answer is false if the file is short, if anything in it is at fault, which the whole file tells best, or if a piece
// does not end where all that it begins has ended. What was read until then is to be forgotten. size is about that of a piece,
// in bytes.
func (p *parser) pieces(content []byte, size int) (map[string]any, bool) {
	all := cut(content, size)
	if len(all) < 2 {
		return nil, false
	}
	before := len(*p.diags)
	stop := make(chan struct{})
	defer close(stop)
	schema, out, first := rootSchema(), map[string]any{}, map[string]hcl.Range{}
	for body := range parsed(all, p.src.file, p.about, stop) {
		b := <-body
		if b == nil || p.twice(b) {
			*p.diags = (*p.diags)[:before]
			return nil, false
		}
		p.into(out, b, schema, p.root, "", first)
		if len(*p.diags) > before {
			*p.diags = (*p.diags)[:before]
			return nil, false
		}
	}
	return out, true
}

// twice says whether a piece has a key that another one has.
func (p *parser) twice(b *hclsyntax.Body) bool {
	for name := range b.Attributes {
		if p.root.child(name) != nil {
			return true
		}
	}
	return false
}

// cut cuts a file before lines that begin with a word, as those do that begin a block at the top of a file that is formatted.
func cut(content []byte, size int) []piece {
	var out []piece
	line := 1
	for len(content) > 0 {
		n := len(content)
		for at := size; at < len(content); at++ {
			next := bytes.IndexByte(content[at:], '\n')
			if next < 0 {
				break
			}
			if at += next; at+1 < len(content) && isLetter(content[at+1]) {
				n = at + 1
				break
			}
		}
		out = append(out, piece{content[:n], line})
		line += bytes.Count(content[:n], []byte("\n"))
		content = content[n:]
	}
	return out
}

func isLetter(b byte) bool { return 'a' <= b && b <= 'z' }

// parsed parses pieces, as many at a time as there are processors, and gives their trees in their order; nil for one that cannot
// be read by itself.
func parsed(all []piece, file, about string, stop <-chan struct{}) <-chan chan *hclsyntax.Body {
	out := make(chan chan *hclsyntax.Body, runtime.GOMAXPROCS(0))
	go func() {
		defer close(out)
		for _, x := range all {
			body := make(chan *hclsyntax.Body, 1)
			select {
			case out <- body:
			case <-stop:
				return
			}
			go func() { body <- x.parse(file, about) }()
		}
	}()
	return out
}

// parse gives the tree of a piece; an empty one if the word about, if there is one, is not in it, and the piece says by itself that
// it is a whole: of one that may be within a comment or a text of many lines only the parser finds out that it is none.
func (x piece) parse(file, about string) *hclsyntax.Body {
	n, plain := skim(x.text)
	ok := plain
	if !plain {
		n, ok = nestingOf(x.text)
	}
	if !ok || !n.isOver() {
		return nil
	}
	if plain && !bytes.Contains(x.text, []byte(about)) {
		return &hclsyntax.Body{}
	}
	start := hcl.Pos{Line: x.line, Column: 1}
	tree, found := hclsyntax.ParseConfig(x.text, file, start)
	if len(found) > 0 {
		return nil
	}
	body, _ := tree.Body.(*hclsyntax.Body)
	return body
}
