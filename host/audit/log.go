package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/origin"
	"github.com/realmgate/realmgate/sdk"
)

// Stdout is the Path that stands for the standard output.
const Stdout = "stdout"

// Config says where the lines go.
type Config struct {
	// Path of the file, made with mode 0600 (its folder with 0700), or [Stdout]; empty: nothing is kept. An existing file
	// keeps its mode, which must not let others than its owner write it, or others than its group read it. One that is moved
	// or removed is begun anew. A device such as /dev/stderr is written to and never rotated.
	Path string
	// MaxSizeMB is the size in MiB at which the file is rotated; zero: 100.
	MaxSizeMB int
	// MaxBackups is how many rotated files are kept, and MaxAgeDays for how long; zero: without a bound.
	MaxBackups, MaxAgeDays int
	Compress               bool // rotated files, with gzip
	// Refuse says that nothing happens of which no line can be written. Without it a lost line is only logged.
	Refuse bool
	// Stdout is what the [Stdout] path stands for.
	Stdout io.Writer
	Logger hclog.Logger     // nil: silent
	Now    func() time.Time // nil: time.Now
}

// ErrUnwritten says that a line could not be written, and that therefore what it tells must not happen.
var ErrUnwritten = errors.New("audit: the line could not be written")

// Log writes lines. It is safe for concurrent use; a nil Log keeps nothing.
type Log struct {
	c     Config
	tally tally

	mu   sync.Mutex
	w    io.WriteCloser
	torn bool // the last line is incomplete
}

// Open opens the log, so that one that cannot be written is noticed at once. It is nil if there is to be none.
func Open(c Config) (*Log, error) {
	if c.Path == "" {
		return nil, nil
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	l := &Log{c: c}
	if c.Path == Stdout {
		l.w = &patient{w: c.Stdout, close: func() error { return nil }, limit: stalled}
		return l, nil
	}
	w, err := openFile(c)
	if err != nil {
		return nil, fmt.Errorf("audit: open %s: %w", c.Path, err)
	}
	l.w = w
	return l, nil
}

// Record writes a line. The error is ErrUnwritten if there is none and what it tells must not happen; the daemon's log
// has the cause.
func (l *Log) Record(ctx context.Context, e Event) error {
	if l == nil || l.put(ctx, e) == nil || !l.c.Refuse {
		return nil
	}
	return ErrUnwritten
}

// put writes a line, and says in the daemon's log why it cannot.
func (l *Log) put(ctx context.Context, e Event) error {
	from := origin.From(ctx)
	entry := line{
		Time: l.c.Now().UTC(), RequestID: sdk.RequestID(ctx), Listener: from.Listener, Peer: bound(from.Peer, maxValue), Event: e.bounded(),
	}
	if from.Client.IsValid() {
		entry.Client = from.Client.String()
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	err := enc.Encode(entry)
	if err == nil {
		err = l.write(text.Bytes())
	}
	if err != nil {
		l.c.Logger.Error("an audit line could not be written", "request_id", entry.RequestID, "event", e.Name, "outcome", e.Outcome, "realm", e.Realm,
			"principal", e.Principal, "refused", l.c.Refuse, "error", err)
	}
	return err
}

// write writes a line whole, or leaves a mark behind which the next one begins on a line of its own.
func (l *Log) write(text []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.torn {
		text = append([]byte{'\n'}, text...)
	}
	n, err := l.w.Write(text)
	if err == nil && n < len(text) {
		err = io.ErrShortWrite
	}
	if n > 0 {
		l.torn = text[n-1] != '\n'
	}
	return err
}

// Around records a change: a line before it, and one that says what became of it. The change is not made if the first
// line must be written and cannot be. describe, if it is not nil, completes the second line of a change that was made.
func (l *Log) Around(ctx context.Context, e Event, change func() error, describe func(*Event)) error {
	before := e
	before.Outcome = Attempted
	if err := l.Record(ctx, before); err != nil {
		return err
	}
	err := change()
	e.Outcome = Done
	switch {
	case err != nil:
		e.Outcome, e.Detail = Failed, err.Error()
	case describe != nil:
		describe(&e)
	}
	_ = l.Record(context.WithoutCancel(ctx), e) // it has happened; the daemon's log has the rest
	return err
}

// Close tells what was only counted so far, and closes the file.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.end()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.w.Close(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}
