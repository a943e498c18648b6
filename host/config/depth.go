package config

import (
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
