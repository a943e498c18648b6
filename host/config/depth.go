package config

import (
	"bytes"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// tooDeep looks for nesting at which the parser, which is recursive, would exhaust the stack.
func tooDeep(content []byte, name string) (hcl.Range, bool) {
	tokens, _ := hclsyntax.LexConfig(content, name, hcl.InitialPos)
	var n nesting
	for _, token := range tokens {
		if n.add(token.Type); n.tooDeep() {
			return token.Range, true
		}
	}
	return hcl.Range{}, false
}

// nestingOf follows the tokens of a text to its end; false if that cannot be done, or if it is nested too deep.
func nestingOf(content []byte) (n nesting, ok bool) {
	tokens, found := hclsyntax.LexConfig(content, "", hcl.InitialPos)
	for _, t := range tokens {
		if n.add(t.Type); n.tooDeep() {
			return n, false
		}
	}
	return n, len(found) == 0
}

// skim is nestingOf without tokens, at a fraction of the cost, for a text that has brackets, strings of one line and comments to
// the end of the line, as almost every configuration does. The answer is false for every other.
func skim(content []byte) (n nesting, ok bool) {
	if !utf8.Valid(content) { // the lexer takes what follows for a part of it
		return n, false
	}
	for i := 0; i < len(content); i++ {
		var next byte
		if i+1 < len(content) {
			next = content[i+1]
		}
		switch c := content[i]; {
		case c == ' ', c == '\t', c == '\r', c == '\n':
			continue
		case c == '#', c == '/' && next == '/':
			if i = endOfLine(content, i); i < 0 {
				return n, true
			}
			continue
		case c == '"':
			if i = endOfString(content, i); i < 0 {
				return n, false
			}
		case c == '{', c == '[', c == '(':
			n.depth++
		case c == '}', c == ']', c == ')':
			if n.depth--; n.depth < 0 {
				return n, false
			}
		case c == '!', c == '-':
			if n.run++; n.tooDeep() {
				return n, false
			}
			continue
		case c == '?', c == '<' && next == '<', c == '/' && next == '*':
			return n, false
		}
		if n.run = 0; n.tooDeep() {
			return n, false
		}
	}
	return n, true
}

// endOfLine gives where the line ends that i is in; less than 0 if nothing follows it.
func endOfLine(content []byte, i int) int {
	end := bytes.IndexByte(content[i:], '\n')
	if end < 0 {
		return end
	}
	return i + end
}

// endOfString gives where the string ends that begins at i; less than 0 if it does not in its line, or if it has a template.
func endOfString(content []byte, i int) int {
	for i++; i < len(content); i++ {
		switch content[i] {
		case '\\':
			if i++; i < len(content) && content[i] == '\n' {
				return -1
			}
		case '"':
			return i
		case '\n':
			return -1
		case '{':
			if before := content[i-1]; before == '$' || before == '%' {
				return -1
			}
		}
	}
	return -1
}

// nesting follows how deep the tokens of a file are in each other.
type nesting struct{ depth, run, computed, heredocs int }

func (n *nesting) add(t hclsyntax.TokenType) {
	switch t {
	case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp:
		n.depth++
	case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
		n.depth = max(0, n.depth-1)
	case hclsyntax.TokenBang, hclsyntax.TokenMinus:
		n.run++
	case hclsyntax.TokenQuestion, hclsyntax.TokenTemplateControl:
		n.depth, n.computed = n.depth+1, n.computed+1
	case hclsyntax.TokenOHeredoc:
		n.heredocs++
	case hclsyntax.TokenCHeredoc:
		n.heredocs--
	}
	switch t {
	case hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenNewline, hclsyntax.TokenComment:
	default:
		n.run = 0
	}
}

func (n *nesting) tooDeep() bool {
	return n.depth > maxNesting || n.run > maxNesting || n.computed > maxNesting
}

// isOver says whether all that was begun has ended.
func (n *nesting) isOver() bool { return n.depth == 0 && n.heredocs == 0 }
