package child

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
)

const (
	maxTail  = 512 // bytes of a plugin's last words that an error repeats
	maxPairs = 64  // keys of one structured log line
)

// output takes what a plugin prints and writes it to the host's log, made safe. Each of its methods is called by one
// goroutine at a time, but they may be called by several together.
type output struct {
	log hclog.Logger // has the plugin's name

	mu    sync.Mutex
	last  string // last line of plain text on stderr
	panic bool   // a stack trace is being printed
}

// stderr takes one line of the standard error. go-plugin's own parser is not used: it panics on {"@message":1}.
func (o *output) stderr(line []byte, cut bool) {
	if !cut && bytes.HasPrefix(line, []byte{'{'}) && o.structured(line) {
		return
	}
	text := o.text(line, cut)
	if text == "" {
		return
	}
	o.mu.Lock()
	if !o.panic { // what follows is the stack
		o.last = text
	}
	if strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ") {
		o.panic = true
	}
	level := hclog.Info
	if o.panic {
		level = hclog.Error
	}
	o.mu.Unlock()
	o.log.Log(level, text)
}

// stdout takes one line that was printed to the standard output behind the handshake.
func (o *output) stdout(line []byte, cut bool) {
	if text := o.text(line, cut); text != "" {
		o.log.Debug(text, "stream", "stdout")
	}
}

func (o *output) text(line []byte, cut bool) string {
	s := Safe(string(line), maxLine)
	if cut {
		s += cutMark
	}
	return s
}

// lastWords gives the last line of plain text that was printed to the standard error, for an error message.
func (o *output) lastWords() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return Printable(o.last, maxTail)
}

// structured logs a line in the JSON format of hclog with its level; false if it is something else.
func (o *output) structured(line []byte) bool {
	var entry map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if d.Decode(&entry) != nil || d.More() {
		return false
	}
	message, isMessage := entry["@message"].(string)
	name, isLevel := entry["@level"].(string)
	level := hclog.LevelFromString(name)
	if !isMessage || !isLevel || level == hclog.NoLevel || level == hclog.Off {
		return false
	}
	keys := make([]string, 0, len(entry))
	for k := range entry {
		if k != "plugin" && !strings.HasPrefix(k, "@") { // the host says itself which plugin it was
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	keys = keys[:min(len(keys), maxPairs)]
	args := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		args = append(args, Printable(k, 64), o.value(k, entry[k]))
	}
	o.log.Log(level, Safe(message, maxLine), args...)
	return true
}

func (o *output) value(key string, v any) any {
	switch v := v.(type) {
	case nil, bool:
		return v
	case string:
		if (Redactor{}).Secret(key) && v != "" {
			return hidden
		}
		return Safe(v, maxLine)
	}
	if (Redactor{}).Secret(key) {
		return hidden
	}
	if n, ok := v.(json.Number); ok {
		return n.String()
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("(%T)", v)
	}
	return Safe(string(b), maxLine)
}
