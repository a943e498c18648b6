package rpc

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// Not parallel: it counts the goroutines of the whole test binary, of which no parallel one runs yet.
func TestSessionsLeaveNothingBehind(t *testing.T) {
	p := startFake(t, &fake{}, &fakeHost{}, false)
	before := runtime.NumGoroutine()
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		if err := p.OpenSession(ctx); err != nil {
			t.Fatal(err)
		}
		if err := p.Run(t.Context(), "r", external, request("x")); err != nil {
			t.Fatal(err)
		}
		lost := p.SessionLost()
		cancel()
		wait(t, lost, "the end of its context ends the session")
	}
	deadline := time.Now().Add(20 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(5 * time.Millisecond)
	}
}
