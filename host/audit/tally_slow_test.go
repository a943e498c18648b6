package audit

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// slow is a disk on which each line waits until it is let through, or fails.
type slow struct {
	bytes.Buffer

	under atomic.Int64  // writes that began
	let   chan error    // gives what becomes of one
	open  chan struct{} // closed: all go through

	closed atomic.Bool
}

func newSlow() *slow { return &slow{let: make(chan error), open: make(chan struct{})} }

func (s *slow) Write(p []byte) (int, error) {
	s.under.Add(1)
	select {
	case err := <-s.let:
		if err != nil {
			return 0, err
		}
	case <-s.open:
	}
	return s.Buffer.Write(p)
}

func (s *slow) Close() error {
	s.closed.Store(true)
	return nil
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never comes to pass: %s", what)
		}
	}
}

var sameRefusal = Event{Name: TokenIssue, Outcome: Refused, Realm: "r", Reason: "token_malformed"}

// counted gives how many wait for the line that is being written, or will be told with the next ones.
func (l *Log) counted() (n int) {
	l.tally.mu.Lock()
	defer l.tally.mu.Unlock()
	for _, t := range l.tally.kept {
		if n += t.more; t.writing != nil {
			n += t.writing.waiting
		}
	}
	return n
}

func slowLog(disk *slow, refuse bool) *Log {
	return &Log{c: Config{Refuse: refuse, Logger: hclog.NewNullLogger(), Now: time.Now}, w: disk}
}

// What comes while the first line of its kind is being written is counted, has no line, and shares what becomes of that.
func TestTallyWhileALineIsWritten(t *testing.T) {
	t.Parallel()
	const requests = 300
	for _, tt := range []struct {
		name   string
		refuse bool
		fault  error
		failed int64
		lines  int
		later  string // in the next window
	}{
		{"refuse", true, nil, 0, 1, `"count":299,`},
		{"refuse, full disk", true, errors.New("disk full"), requests, 0, ""},
		{"continue", false, nil, 0, 1, `"count":299,`},
		{"continue, full disk", false, errors.New("disk full"), 0, 0, `"count":299,`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			disk := newSlow()
			l := slowLog(disk, tt.refuse)
			var wg sync.WaitGroup
			var failed atomic.Int64
			for range requests {
				wg.Go(func() {
					if l.Tally(t.Context(), sameRefusal) != nil {
						failed.Add(1)
					}
				})
			}
			until(t, "one writes, all others are counted", func() bool { return disk.under.Load() == 1 && l.counted() == requests-1 })
			disk.let <- tt.fault
			wg.Wait()
			if n := strings.Count(disk.String(), "\n"); n != tt.lines || failed.Load() != tt.failed {
				t.Errorf("%d lines, %d requests fail", n, failed.Load())
			}
			close(disk.open)
			disk.Reset()
			l.sweep()
			if text := disk.String(); !strings.Contains(text, tt.later) || tt.later == "" && text != "" {
				t.Errorf("%s", text)
			}
		})
	}
}

// A window that ends while a first line is being written leaves what was counted meanwhile to the next one.
func TestWindowEndsWhileALineIsWritten(t *testing.T) {
	t.Parallel()
	disk := newSlow()
	l := slowLog(disk, false)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { _ = l.Tally(t.Context(), sameRefusal) })
	}
	until(t, "two are counted", func() bool { return disk.under.Load() == 1 && l.counted() == 2 })
	l.sweep()
	disk.let <- nil
	wg.Wait()
	close(disk.open)
	_ = l.Tally(t.Context(), sameRefusal)
	disk.Reset()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if text := disk.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"count":3,`) {
		t.Errorf("%s", text)
	}
}

// A log that is closed while the window's end is under way, or a first line, loses nothing; later it takes nothing.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	for name, sweeping := range map[string]bool{"window's end": true, "first line": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sums := map[bool]int{true: 5, false: 1}[sweeping]
			disk := newSlow()
			l := slowLog(disk, true)
			var wg sync.WaitGroup
			wg.Go(func() { _ = l.Tally(t.Context(), sameRefusal) })
			until(t, "it is written", func() bool { return disk.under.Load() == 1 })
			wg.Go(func() { _ = l.Tally(t.Context(), sameRefusal) })
			until(t, "one is counted", func() bool { return l.counted() == 1 })
			if sweeping {
				disk.let <- nil
				wg.Wait()
				for i := range sums - 1 {
					another := sameRefusal
					another.Reason += strings.Repeat("_", i+1)
					go func() { disk.let <- nil }()
					for range 2 {
						_ = l.Tally(t.Context(), another)
					}
				}
				wg.Go(l.sweep)
				until(t, "the first sum is written", func() bool { return disk.under.Load() == int64(sums+1) })
			}
			closed := make(chan error)
			go func() { closed <- l.Close() }()
			until(t, "it is being closed", func() bool {
				l.tally.mu.Lock()
				defer l.tally.mu.Unlock()
				return l.tally.closed
			})
			for i := range sums - 1 { // one by one, while somebody waits to close it
				until(t, "a sum is written, or it is closed too early", func() bool { return disk.under.Load() == int64(sums+1+i) || disk.closed.Load() })
				if disk.closed.Load() {
					t.Fatal("it is closed before all is told")
				}
				disk.let <- nil
			}
			close(disk.open)
			if err := <-closed; err != nil {
				t.Fatal(err)
			}
			wg.Wait()
			text := disk.String()
			if strings.Count(text, "\n") != 2*sums || strings.Count(text, `"count":1,`) != sums {
				t.Errorf("%s", text)
			}
			if l.Tally(t.Context(), sameRefusal) == nil || l.Record(t.Context(), sameRefusal) == nil || disk.String() != text {
				t.Errorf("it is written after it was closed: %s", disk.String())
			}
		})
	}
}
