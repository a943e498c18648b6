package sdk

import "encoding/json"

// maxPlainDepth is how deep plain objects may nest.
const maxPlainDepth = 32

// plainReader reads a JSON object as tokens have them: strings of printable ASCII without escapes, whole numbers, no great depth. What
// is anything else, or no JSON, is left to encoding/json, to whose answer this one is equal (FuzzPlainObject). With it an external
// decision that is made anew on a token that was verified before takes an eighth less of processor time (BenchmarkExternal legs/claims/64
// of host/generation, 0.31 to 0.33 cpu-of-bare beside 0.26 to 0.30). Strings share the memory of the whole text.
type plainReader struct {
	text string
	at   int
}

// plainObject gives the object; false where encoding/json has to be asked.
func plainObject(raw []byte) (map[string]any, bool) {
	p := &plainReader{text: string(raw)}
	v, ok := p.value(0)
	m, isObject := v.(map[string]any)
	p.space()
	return m, ok && isObject && p.at == len(p.text)
}

func (p *plainReader) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\n' || p.text[p.at] == '\t' || p.text[p.at] == '\r') {
		p.at++
	}
}

// take takes one byte, with white space before it.
func (p *plainReader) take(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *plainReader) word(word string, v any) (any, bool) {
	if len(p.text)-p.at < len(word) || p.text[p.at:p.at+len(word)] != word {
		return nil, false
	}
	p.at += len(word)
	return v, true
}

func (p *plainReader) value(depth int) (any, bool) {
	p.space()
	if p.at == len(p.text) || depth > maxPlainDepth {
		return nil, false
	}
	switch c := p.text[p.at]; {
	case c == '"':
		s, ok := p.str()
		return s, ok
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.list(depth)
	case c >= '0' && c <= '9':
		return p.number()
	case c == 't':
		return p.word("true", true)
	case c == 'f':
		return p.word("false", false)
	case c == 'n':
		return p.word("null", nil)
	}
	return nil, false
}

func (p *plainReader) str() (string, bool) {
	if !p.take('"') {
		return "", false
	}
	for from := p.at; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return p.text[from : p.at-1], true
		case c == '\\' || c < ' ' || c > '~':
			return "", false
		}
	}
	return "", false
}

// number reads a whole number; what follows it decides elsewhere whether that was all of it.
func (p *plainReader) number() (any, bool) {
	from := p.at
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	n := p.text[from:p.at]
	return json.Number(n), len(n) == 1 || n[0] != '0'
}

func (p *plainReader) object(depth int) (any, bool) {
	p.at++
	m := map[string]any{}
	if p.take('}') {
		return m, true
	}
	for {
		key, ok := p.str()
		if !ok || !p.take(':') {
			return nil, false
		}
		v, ok := p.value(depth + 1)
		if !ok {
			return nil, false
		}
		m[key] = v
		if p.take('}') {
			return m, true
		}
		if !p.take(',') {
			return nil, false
		}
	}
}

func (p *plainReader) list(depth int) (any, bool) {
	p.at++
	l := []any{}
	if p.take(']') {
		return l, true
	}
	for {
		v, ok := p.value(depth + 1)
		if !ok {
			return nil, false
		}
		l = append(l, v)
		if p.take(']') {
			return l, true
		}
		if !p.take(',') {
			return nil, false
		}
	}
}
