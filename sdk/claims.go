package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
)

// Claims are the claims of a verified foreign identity: a JSON object, parsed once, on first use. Numbers are
// json.Number, so that a long id keeps all its digits. It is safe for concurrent use; a nil *Claims has no claims.
type Claims struct {
	raw  []byte
	once sync.Once
	m    map[string]any
}

// NewClaims takes a JSON object; the slice must not be changed afterwards. What is not an object has no claims.
func NewClaims(raw []byte) *Claims { return &Claims{raw: raw} }

// Raw gives the JSON as it was given to NewClaims.
func (c *Claims) Raw() []byte {
	if c == nil {
		return nil
	}
	return c.raw
}

// Map gives the claims; the caller must not change it. It is nil if there is no JSON object.
func (c *Claims) Map() map[string]any {
	if c == nil {
		return nil
	}
	c.once.Do(func() {
		if len(c.raw) == 0 {
			return
		}
		var ok bool
		if c.m, ok = plainObject(c.raw); !ok {
			c.m = anyObject(c.raw)
		}
	})
	return c.m
}

// anyObject gives a JSON object; nil for anything else.
func anyObject(raw []byte) map[string]any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var m map[string]any
	if d.Decode(&m) != nil || len(bytes.TrimSpace(raw[d.InputOffset():])) > 0 {
		return nil
	}
	return m
}

// String gives a claim at the top level that is a string.
func (c *Claims) String(name string) (string, bool) {
	s, ok := c.Map()[name].(string)
	return s, ok
}

// Lookup follows a path through nested objects.
func (c *Claims) Lookup(p ClaimPath) (any, bool) {
	if len(p.segments) == 0 {
		return nil, false
	}
	var v any = c.Map()
	for _, seg := range p.segments {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[seg]; !ok {
			return nil, false
		}
	}
	return v, true
}

// ClaimPath is a way to a claim in nested objects: segments separated by "/", each optionally in double quotes, so that
// a segment may itself have a slash: foo/"https://ns/claim"/bar. The zero ClaimPath leads nowhere.
type ClaimPath struct{ segments []string }

// ParseClaimPath parses a path. An empty path, an empty segment and a quote that is not closed are errors.
func ParseClaimPath(text string) (ClaimPath, error) {
	if text == "" {
		return ClaimPath{}, errors.New("a claim path is empty")
	}
	var p ClaimPath
	for rest, more := text, true; more; {
		var seg string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			if seg, rest, ok = strings.Cut(quoted, `"`); !ok {
				return ClaimPath{}, errors.New("a claim path has a quote that is not closed")
			}
			if rest != "" && rest[0] != '/' {
				return ClaimPath{}, errors.New("a claim path has text behind a closing quote")
			}
			more = rest != ""
			rest = strings.TrimPrefix(rest, "/")
		} else {
			seg, rest, more = strings.Cut(rest, "/")
			if strings.Contains(seg, `"`) {
				return ClaimPath{}, errors.New("a claim path has a quote within a segment; quote the whole segment")
			}
		}
		if seg == "" {
			return ClaimPath{}, errors.New("a claim path has an empty segment")
		}
		p.segments = append(p.segments, seg)
	}
	return p, nil
}

// IsZero says whether p leads nowhere.
func (p ClaimPath) IsZero() bool { return len(p.segments) == 0 }

// String gives the path; it parses back to p.
func (p ClaimPath) String() string {
	out := make([]string, len(p.segments))
	for i, s := range p.segments {
		if strings.Contains(s, "/") {
			s = `"` + s + `"`
		}
		out[i] = s
	}
	return strings.Join(out, "/")
}

// MarshalText gives the path.
func (p ClaimPath) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText parses a path.
func (p *ClaimPath) UnmarshalText(text []byte) (err error) {
	*p, err = ParseClaimPath(string(text))
	return err
}
