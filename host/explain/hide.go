package explain

import (
	"encoding/json"
	"strings"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/redact"
)

// hidden stands where a secret stood.
const hidden = "[hidden]"

// Bounds of what is shown.
const (
	maxText  = 1 << 10 // bytes of one text
	maxDepth = 8       // of claims
	maxItems = 1024    // of one list or object
)

// hider takes the credential of one request, the secrets of the parts that it goes through, and what looks like a secret, out of what
// is shown.
type hider struct {
	parts   []generation.Part
	words   *strings.Replacer
	secrets *redact.Set
}

// leastWord is the length of the shortest word that is hidden: others hide nothing and would riddle the text.
const leastWord = 8

// newHider hides what is secret in a request, see [secretsOf].
func newHider(r sdk.Request) hider {
	words, secrets := secretsOf(r)
	var pairs []string
	for _, word := range words {
		if len(word) >= leastWord {
			pairs = append(pairs, word, "[token]")
		}
	}
	h := hider{words: strings.NewReplacer(pairs...), secrets: &redact.Set{}}
	for _, secret := range secrets {
		if len(secret) >= leastWord {
			h.secrets.Add("the credential", secret)
		}
	}
	return h
}

// hide takes pieces of secrets, and short words whole, out of a text.
func (h hider) hide(s string) string { return h.words.Replace(h.secrets.Hide(s, "[token]")) }

// told takes out of a text also what the parts of the realm had resolved of secrets.
func (h hider) told(s string) string {
	s = h.hide(s)
	for _, p := range h.parts {
		s = p.Handle.Hide(s)
	}
	return s
}

// text makes a text fit to be shown.
func (h hider) text(s string) string {
	if len(s) > 2*maxText { // what is behind is not shown anyway
		s = s[:2*maxText]
	}
	return child.Safe(h.told(s), maxText)
}

func (h hider) texts(list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list[:min(len(list), maxItems)] {
		out = append(out, h.text(s))
	}
	return out
}

// named makes a map fit to be shown: the values of keys that are named like a secret are not.
func (h hider) named(m map[string]string) map[string]string {
	var out map[string]string
	for k, v := range m {
		if out == nil {
			out = map[string]string{}
		}
		out[h.text(k)] = h.of(k, v, 0).(string)
	}
	return out
}

// claims makes claims fit to be shown.
func (h hider) claims(c *sdk.Claims) map[string]any {
	if c.Map() == nil {
		return nil
	}
	out, _ := h.value(c.Map(), 0).(map[string]any)
	return out
}

func (h hider) of(key string, v any, depth int) any {
	if (child.Redactor{}).Secret(key) {
		return hidden
	}
	return h.value(v, depth)
}

func (h hider) value(v any, depth int) any {
	if depth > maxDepth {
		return "…"
	}
	switch x := v.(type) {
	case string:
		return h.text(x)
	case map[string]any:
		out := map[string]any{}
		looked := 0
		for k, y := range x {
			if looked++; looked > maxItems {
				break
			}
			out[h.text(k)] = h.of(k, y, depth+1)
		}
		return out
	case []any:
		out := make([]any, 0, len(x))
		for _, y := range x[:min(len(x), maxItems)] {
			out = append(out, h.value(y, depth+1))
		}
		return out
	}
	if n, ok := v.(json.Number); ok && h.told(n.String()) != n.String() {
		return h.text(n.String())
	}
	return v // another number, true, false or null
}

// asJSON gives what consists of what was made fit to be shown.
func asJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil { // it has nothing that JSON has not
		return nil
	}
	return b
}
