package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
)

// page is what one answer takes to be written, for use again.
type page struct {
	text    bytes.Buffer
	encoder *json.Encoder
}

var pages = sync.Pool{New: func() any {
	p := &page{}
	p.encoder = json.NewEncoder(&p.text)
	p.encoder.SetEscapeHTML(false)
	return p
}}

// maxPage is the longest answer whose space is kept, in bytes.
const maxPage = 64 << 10

// back gives a page back, with nothing on it.
func (p *page) back() {
	if p.text.Cap() > maxPage {
		return
	}
	p.text.Reset()
	pages.Put(p)
}

// setHeaders sets headers, name by value, and those that every answer has. Names are in their canonical form.
func (*page) setHeaders(h http.Header, pairs ...string) {
	values := make([]string, 0, len(pairs)/2+3) // one piece of memory for the lists of all
	set := func(name, value string) {
		values = append(values, value)
		n := len(values)
		h[name] = values[n-1 : n : n]
	}
	for i := 0; i < len(pairs); i += 2 {
		set(pairs[i], pairs[i+1])
	}
	set("Content-Type", "application/json")
	set("Cache-Control", "no-store")
	set("X-Content-Type-Options", "nosniff")
}

// write writes an answer. What cannot be encoded, or a caller that has gone, ends it.
func (p *page) write(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	if p.encoder.Encode(v) == nil {
		_, _ = w.Write(p.text.Bytes())
	}
}
