package config

import (
	"encoding/json"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

const (
	maxNesting  = 100  // of brackets, templates and operators
	maxExponent = 4096 // bits before or behind the point of a number; beyond, it would be written out in megabytes
)

// value gives the JSON value of an expression that is written out: string, json.Number, bool, nil, []any or
// map[string]any. Anything that would have to be computed is a fault. Places of inner values go into t.
func (p *parser) value(e hclsyntax.Expression, t *trace) (any, bool) {
	switch e := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		return p.value(e.Expression, t)
	case *hclsyntax.TupleConsExpr:
		return p.list(e, t)
	case *hclsyntax.ObjectConsExpr:
		return p.object(e, t)
	case *hclsyntax.UnaryOpExpr:
		if _, literal := e.Val.(*hclsyntax.LiteralValueExpr); !literal || e.Op != hclsyntax.OpNegate {
			return p.computed(e)
		}
	case *hclsyntax.TemplateExpr:
		for _, inner := range e.Parts {
			if _, literal := inner.(*hclsyntax.LiteralValueExpr); !literal {
				return p.computed(inner)
			}
		}
	case *hclsyntax.LiteralValueExpr:
	default:
		return p.computed(e)
	}
	return p.scalar(e)
}

// computed refuses an expression with a word on what it tried. The expression is not repeated: it may be a secret that
// somebody forgot to quote.
func (p *parser) computed(e hclsyntax.Expression) (any, bool) {
	const summary = "a value must be written out"
	detail := "Expressions are not computed."
	switch e := e.(type) {
	case *hclsyntax.FunctionCallExpr:
		detail = "There are no functions."
	case *hclsyntax.ScopeTraversalExpr:
		detail = "There are no variables. A string is written in quotes."
		switch e.Traversal.RootName() {
		case "var", "local", "env", "data":
			detail = fmt.Sprintf("There are no variables such as %s.x; use the environment (REALMGATE_...) to override a key.", e.Traversal.RootName())
		}
	}
	p.fault(e.Range(), showKey, summary, detail+" A literal ${ in a string is written $${, and %{ is written %%{.")
	return nil, false
}

func (p *parser) scalar(e hclsyntax.Expression) (any, bool) {
	v, found := e.Value(nil)
	if found.HasErrors() || !v.IsWhollyKnown() || v.IsMarked() {
		p.syntax(found)
		return nil, false
	}
	switch {
	case v.IsNull():
		return nil, true
	case v.Type() == cty.String:
		return v.AsString(), true
	case v.Type() == cty.Bool:
		return v.True(), true
	case v.Type() != cty.Number:
		return p.computed(e)
	}
	if exp := v.AsBigFloat().MantExp(nil); exp > maxExponent || exp < -maxExponent {
		p.fault(e.Range(), showKey, "the number is out of range", "")
		return nil, false
	}
	number, err := ctyjson.Marshal(v, cty.Number)
	if err != nil {
		p.fault(e.Range(), showKey, "the number cannot be used", err.Error())
		return nil, false
	}
	return json.Number(number), true
}

func (p *parser) list(e *hclsyntax.TupleConsExpr, t *trace) (any, bool) {
	out, good := make([]any, 0, len(e.Exprs)), true
	for i, inner := range e.Exprs {
		at := p.trace(inner.Range())
		t.set(fmt.Sprint(i), at)
		v, ok := p.value(inner, at)
		good = good && ok
		out = append(out, v)
	}
	return out, good
}

func (p *parser) object(e *hclsyntax.ObjectConsExpr, t *trace) (any, bool) {
	out, good := make(map[string]any, len(e.Items)), true
	for _, item := range e.Items {
		key, ok := p.key(item.KeyExpr)
		if !ok {
			good = false
			continue
		}
		if _, twice := out[key]; twice {
			p.fault(item.KeyExpr.Range(), showKey, fmt.Sprintf("%q is set twice", key),
				"It was set first at "+t.child(key).position().String()+". In one object a key is set once.")
			good = false
			continue
		}
		at := p.trace(item.KeyExpr.Range())
		t.set(key, at)
		v, ok := p.value(item.ValueExpr, at)
		good = good && ok
		out[key] = v
	}
	return out, good
}

// key gives the key of an object: a word, a string or a number.
func (p *parser) key(e hclsyntax.Expression) (string, bool) {
	if word := hcl.ExprAsKeyword(e); word != "" {
		return word, true
	}
	if wrapped, ok := e.(*hclsyntax.ObjectConsKeyExpr); ok {
		e = wrapped.Wrapped
	}
	v, ok := p.value(e, &trace{})
	if !ok {
		return "", false
	}
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	}
	p.fault(e.Range(), showKey, "a key must be a string", "")
	return "", false
}

func describe(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}
