package config

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	maxSnippet = 160 // runes of a line that are shown
	hidden     = "…" // stands for a value that is not shown
)

// source is a file, or a variable or flag, from which values came.
type source struct {
	file  string
	text  string
	ends  []uint32 // of its lines, but for the last one
	other string   // the variable or flag if it is no file
}

func newSource(name string, content []byte) *source {
	s := &source{file: name, text: string(content), ends: make([]uint32, 0, bytes.Count(content, []byte("\n")))}
	for i := range content {
		if content[i] == '\n' {
			s.ends = append(s.ends, uint32(i)) // a file has no more than maxFile
		}
	}
	return s
}

// raw gives a line as it is in the file; empty if there is none.
func (s *source) raw(n int) string {
	if n < 1 || n > len(s.ends)+1 {
		return ""
	}
	from, to := 0, len(s.text)
	if n > 1 {
		from = int(s.ends[n-2]) + 1
	}
	if n <= len(s.ends) {
		to = int(s.ends[n-1])
	}
	return s.text[from:to]
}

// line gives a line as it stands, made safe for a terminal.
func (s *source) line(n int) string { return printed(s.raw(n)) }

func printed(line string) string {
	var b strings.Builder
	count := 0
	for _, r := range strings.TrimRight(line, " \t\r") {
		if count++; count > maxSnippet {
			b.WriteString(hidden)
			break
		}
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteRune(unicode.ReplacementChar)
		}
	}
	return b.String()
}

// masked gives a line without values. Somebody may have put a secret under the wrong key, and diagnostics end up in logs
// and tickets; so of a line only a key or the head of a block is kept.
func (s *source) masked(n int) string {
	line := s.line(n)
	rest := strings.TrimLeft(line, " ")
	indent := line[:len(line)-len(rest)]
	name := rest[:identifier(rest)]
	if name == "" || strings.Contains(rest, "*/") { // a comment of several lines may end here
		if rest == "" || strings.Trim(rest, "{}[](),") == "" {
			return line
		}
		return indent + hidden
	}
	tail := strings.TrimLeft(rest[len(name):], " ")
	if tail == "" {
		return indent + hidden
	}
	if strings.HasPrefix(tail, "=") {
		return indent + rest[:strings.IndexByte(rest, '=')+1] + " " + hidden
	}
	head, body, opens := strings.Cut(rest, "{")
	if !opens || !blockHead.MatchString(head) {
		return indent + name + " " + hidden
	}
	if body = strings.TrimSpace(body); body == "" {
		return line
	}
	return indent + head + "{ " + hidden
}

// blockHead is a kind and labels: what else stands before a brace may be a value.
var blockHead = regexp.MustCompile(`^[\pL_][\pL\pN_-]*(?: +"[^"]*")* *$`)

// bare gives a line without comments, which may be a line that somebody put aside with its value.
func (s *source) bare(n int) string {
	raw := s.raw(n)
	var b strings.Builder
	end := 0
	tokens, _ := hclsyntax.LexConfig([]byte(raw), "", hcl.InitialPos)
	for _, t := range tokens {
		if t.Type == hclsyntax.TokenComment {
			b.WriteString(raw[end:t.Range.Start.Byte])
			end = t.Range.End.Byte
		}
	}
	b.WriteString(raw[end:])
	if strings.Contains(b.String(), "*/") { // a comment of several lines ends here
		return hidden
	}
	return printed(b.String())
}

// identifier is the length of the identifier with which a text starts.
func identifier(text string) int {
	for i, r := range text {
		if !unicode.IsLetter(r) && r != '_' && (i == 0 || !unicode.IsDigit(r) && r != '-') {
			return i
		}
	}
	return len(text)
}
