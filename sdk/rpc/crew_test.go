package rpc

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// A function is never kept waiting by others, however many there are; those that have nothing to do are bounded, and end.
func TestCrew(t *testing.T) {
	done := make(chan struct{})
	c := newCrew(done)
	before := runtime.NumGoroutine()
	for range 3 {
		const many = 3 * maxIdle
		var all sync.WaitGroup
		all.Add(many)
		for range many {
			c.run(func() {
				all.Done()
				all.Wait() // none of them ends before all have begun
			})
		}
		all.Wait()
	}
	within := func(what string, n int) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+n; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d goroutines of %d before", what, runtime.NumGoroutine(), before)
			}
		}
	}
	within("with nothing to do", maxIdle)
	ran := make(chan struct{})
	c.run(func() { close(ran) })
	<-ran
	close(done)
	within("at the end", 0)
}
