package child

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	maxTail  = 512  // bytes of a plugin's last words that an error repeats
	maxPairs = 64   // keys of one structured log line
	maxQueue = 1024 // lines that wait for a log that is slow
)

// output takes what a process prints and writes it to the host's log: made safe, within the plugin's budget, and without
// ever waiting for the log. It may be used by several goroutines.
type output struct {
	log    hclog.Logger // has the plugin's name
	budget *budget
	done   chan struct{}   // closed when all that was taken is logged
	count  func(lines int) // of what is dropped; nil: nobody counts
	// printed is told of each line as it came; nil: nobody is
	printed func(Stream, []byte)

	warned atomic.Bool // of something on the standard output, which go-plugin may bring as well as the pipe

	mu     sync.Mutex
	queue  chan entry
	closed bool
	last   []byte // last line of plain text on stderr, as it came; the first of a crash
	crash  bool   // a stack trace is being printed, until there is a structured line
}

type entry struct {
	level hclog.Level
	text  string
	args  []any
}

func newOutput(log hclog.Logger, b *budget) *output {
	o := &output{log: log, budget: b, queue: make(chan entry, maxQueue), done: make(chan struct{})}
	go func() {
		defer close(o.done)
		for e := range o.queue {
			o.log.Log(e.level, e.text, e.args...)
		}
	}()
	return o
}

// close takes no more, says what was dropped, and waits for the log for no longer than most.
func (o *output) close(most time.Duration) {
	o.budget.settle(o.tell)
	o.mu.Lock()
	if !o.closed {
		o.closed = true
		close(o.queue)
	}
	o.mu.Unlock()
	select {
	case <-o.done:
	case <-time.After(most):
	}
}

// tell logs what was dropped, past the budget.
func (o *output) tell(lines, bytes int) {
	if o.count != nil {
		o.count(lines)
	}
	o.put(entry{hclog.Warn, "plugin prints too much: lines were dropped", []any{"lines", lines, "bytes", bytes}})
}

// put has a line logged; what a slow log has no room for is dropped.
func (o *output) put(e entry) {
	if o.log.GetLevel() > e.level {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	select {
	case o.queue <- e:
	default:
		o.budget.drop(len(e.text), o.tell)
	}
}

// stderr takes one line of the standard error. go-plugin's own parser is not used: it panics on {"@message":1}.
func (o *output) stderr(line []byte, cut bool) {
	plain := !bytes.HasPrefix(line, []byte{'{'})
	level := hclog.Info
	if plain {
		level = o.remember(line)
	}
	if !o.budget.take(len(line)) { // before anything is made of it, which costs more than to print it
		o.budget.drop(len(line), o.tell)
		return
	}
	if !plain {
		if !cut && o.structured(line) {
			o.recover()
			return
		}
		level = o.remember(line)
	}
	if text := safeLine(line, cut); text != "" {
		o.put(entry{level: level, text: text})
	}
}

// from gives what takes a stream.
func (o *output) from(s Stream) *lineWriter {
	w := &lineWriter{emit: o.stderr}
	if s == Stdout {
		w.emit = o.stdout
	}
	if o.printed != nil {
		w.all = func(p []byte) { o.printed(s, p) }
	}
	return w
}

// remember keeps a line of plain text for the error that may come, and says which level it has.
func (o *output) remember(line []byte) hclog.Level {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.crash && len(bytes.TrimSpace(line)) > 0 && !(trails(line) && uncaught.Match(o.last)) { // what follows is the stack
		o.last = append(o.last[:0], line[:min(len(line), maxLine)]...)
	}
	o.crash = o.crash || crashes(line)
	if o.crash {
		return hclog.Error
	}
	return hclog.Info
}

// recover notes that the process goes on, so that what looked like the end of it was none: a program that ends prints no log.
func (o *output) recover() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.crash = false
}

// crashing is how what the runtime of Go prints begins when it ends a program. Many programs say "fatal: " of something else.
var crashing = []string{
	"panic: ", "fatal error: ", "fatal: morestack on ", "fatal: systemstack called ", "fatal: bad g in signal handler", "runtime/cgo: ", "SIGABRT: ", "SIGSEGV: ", "SIGBUS: ",
}

func crashes(line []byte) bool {
	return slices.ContainsFunc(crashing, func(with string) bool { return bytes.HasPrefix(line, []byte(with)) })
}

// uncaught is what runtimes of scripts (Node.js, Python) print of the error that ends a program.
var uncaught = regexp.MustCompile(`^(Uncaught )?([A-Z]\w*)?(Error|Exception)( \[\w+\])?: `)

// trails says whether a line is what follows such an error: its stack, and the version of the runtime.
func trails(line []byte) bool {
	return bytes.HasPrefix(line, []byte(" ")) || bytes.HasPrefix(line, []byte("\t")) || bytes.HasPrefix(line, []byte("}")) || bytes.HasPrefix(line, []byte("Node.js v"))
}

// stdout takes one line that was printed to the standard output behind the handshake.
func (o *output) stdout(line []byte, cut bool) {
	if o.log.GetLevel() > hclog.Debug {
		return
	}
	if !o.budget.take(len(line)) {
		o.budget.drop(len(line), o.tell)
		return
	}
	if text := safeLine(line, cut); text != "" {
		args := []any{"stream", "stdout"}
		if o.warned.CompareAndSwap(false, true) {
			args = append(args, "note", "the standard output belongs to the handshake; log, or print to the standard error")
		}
		o.put(entry{hclog.Debug, text, args})
	}
}

func safeLine(line []byte, cut bool) string {
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
	return Printable(Safe(string(o.last), maxLine), maxTail)
}

// structured logs a line in the JSON format of hclog with its level; false if it is something else.
func (o *output) structured(line []byte) bool {
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if d.Decode(&fields) != nil || d.More() {
		return false
	}
	message, isMessage := fields["@message"].(string)
	name, isLevel := fields["@level"].(string)
	level := hclog.LevelFromString(name)
	if !isMessage || !isLevel || level == hclog.NoLevel || level == hclog.Off {
		return false
	}
	keys := make([]string, 0, len(fields))
	for k := range fields {
		if k != "plugin" && !strings.HasPrefix(k, "@") { // the host says itself which plugin it was
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	keys = keys[:min(len(keys), maxPairs)]
	args := make([]any, 0, 2*len(keys))
	for _, k := range keys {
		args = append(args, Printable(k, 64), o.value(k, fields[k]))
	}
	o.put(entry{level, Safe(message, maxLine), args})
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
