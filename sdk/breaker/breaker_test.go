package breaker

import (
	"errors"
	"sync"
	"testing"
	"time"
)

// clock is a time that the test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func (c *clock) pass(d time.Duration) { c.t = c.t.Add(d) }

func try(t *testing.T, b *Breaker, r Result) {
	t.Helper()
	p, err := b.Enter()
	if err != nil {
		t.Fatal(err)
	}
	p.Leave(r)
}

func opened(t *testing.T) (*Breaker, *clock) {
	t.Helper()
	c := &clock{time.Unix(1_800_000_000, 0)}
	b := New(Config{Failures: 3, Rest: time.Second, MaxRest: 4 * time.Second, Now: c.now})
	for range 3 {
		try(t, b, Bad)
	}
	if _, err := b.Enter(); !errors.Is(err, ErrOpen) || !b.Open() {
		t.Fatalf("after three failures: %v, open %v", err, b.Open())
	}
	return b, c
}

func TestFailuresInARowOpen(t *testing.T) {
	b := New(Config{Failures: 3})
	for range 5 { // never three in a row
		try(t, b, Bad)
		try(t, b, Bad)
		try(t, b, Neither) // says nothing, and ends no row
		try(t, b, Good)
	}
	if b.Open() {
		t.Error("two failures in a row opened it")
	}
	for range 2 {
		try(t, b, Bad)
		try(t, b, Neither)
	}
	try(t, b, Bad)
	if !b.Open() {
		t.Error("three failures in a row did not open it")
	}
}

// What may have been replaced is tried at once, by one, and rests no less if it fails.
func TestRetry(t *testing.T) {
	b, c := opened(t)
	c.pass(time.Second)
	old, err := b.Enter()
	if err != nil {
		t.Fatal(err)
	}
	b.Retry()
	p, err := b.Enter()
	if err != nil {
		t.Fatalf("beside one that tries what was: %v", err)
	}
	old.Leave(Bad)
	if _, err := b.Enter(); !errors.Is(err, ErrOpen) {
		t.Errorf("two try: %v", err)
	}
	p.Leave(Bad)
	c.pass(time.Second - 1) // the second rest is of 1 to 2 s
	if _, err := b.Enter(); !errors.Is(err, ErrOpen) {
		t.Errorf("after the first rest: %v", err)
	}
	b.Retry()
	try(t, b, Good)
	b.Retry()
	if b.Open() {
		t.Error("it is open, although it was well")
	}
}

// After a rest one at a time may try. A result that says nothing lets the next one try.
func TestOneTriesAfterTheRest(t *testing.T) {
	b, c := opened(t)
	c.pass(time.Second / 4)
	if _, err := b.Enter(); !errors.Is(err, ErrOpen) {
		t.Errorf("before half of the rest is over: %v", err)
	}
	c.pass(time.Second)
	p, err := b.Enter()
	if err != nil {
		t.Fatalf("after the rest: %v", err)
	}
	if _, err := b.Enter(); !errors.Is(err, ErrOpen) {
		t.Errorf("beside one who tries: %v", err)
	}
	p.Leave(Neither)
	if p, err = b.Enter(); err != nil {
		t.Fatalf("after one who went away: %v", err)
	}
	p.Leave(Good)
	if b.Open() {
		t.Error("open although it works")
	}
	try(t, b, Bad)
	try(t, b, Bad)
	if b.Open() {
		t.Error("failures from before it closed still count")
	}
}

func TestRestsDoubleUpToABound(t *testing.T) {
	b, c := opened(t)
	for _, most := range []time.Duration{2, 4, 4, 4} {
		c.pass(4 * time.Second)
		try(t, b, Bad)
		c.pass(most*time.Second/2 - time.Millisecond)
		if _, err := b.Enter(); !errors.Is(err, ErrOpen) {
			t.Errorf("a rest of at most %d s is over before half of it", most)
		}
		c.pass(most*time.Second/2 + time.Millisecond)
		p, err := b.Enter()
		if err != nil {
			t.Fatalf("a rest of at most %d s is not over: %v", most, err)
		}
		p.Leave(Neither)
	}
}

// What began before says nothing: neither does it end a rest, nor does it begin one.
func TestWhatBeganBeforeDoesNotCount(t *testing.T) {
	b := New(Config{Failures: 2})
	early, _ := b.Enter()
	late, _ := b.Enter()
	try(t, b, Bad)
	middle, _ := b.Enter()
	try(t, b, Bad)
	early.Leave(Good)
	middle.Leave(Good)
	if !b.Open() {
		t.Error("a try from before it opened closed it")
	}
	b.Reset()
	middle.Leave(Bad)
	if _ = late; b.Open() {
		t.Error("open after it was reset")
	}
	try(t, b, Bad)
	if b.Open() {
		t.Error("a failure from before counts after it was reset")
	}
}

// TestWhatBeganQuietDoesNotCount: what began while nothing had failed is as old as anything else after a reset.
func TestWhatBeganQuietDoesNotCount(t *testing.T) {
	b := New(Config{Failures: 3})
	var before []Pass
	for range 3 {
		p, err := b.Enter()
		if err != nil {
			t.Fatal(err)
		}
		before = append(before, p)
	}
	for range 3 {
		try(t, b, Bad)
	}
	if !b.Open() {
		t.Fatal("three failures have not opened it")
	}
	b.Reset()
	for _, p := range before {
		p.Leave(Bad)
	}
	if b.Open() {
		t.Error("what began before the reset opened it")
	}
}

func TestManyTryAtOnce(t *testing.T) {
	b, c := opened(t)
	c.pass(time.Minute)
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := 0
	for range 50 {
		wg.Go(func() {
			if _, err := b.Enter(); err == nil {
				mu.Lock()
				got++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if got != 1 {
		t.Errorf("%d may try at once, want 1", got)
	}
}
