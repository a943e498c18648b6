package main

import (
	"io"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/admin"
)

// A reader that stalls holds up nobody, and is told later how much it missed.
func TestDevDecisionsDoNotWaitForAReader(t *testing.T) {
	r, w := io.Pipe() // a write waits until it is read
	d := newDecisions(w)
	const more = 10
	for range printQueue + 1 + more { // one may be on its way out
		d.print(admin.Explanation{Verdict: "allowed"})
	}
	read := make(chan string)
	go func() {
		text, _ := io.ReadAll(r)
		read <- string(text)
	}()
	d.end()
	_ = w.Close()
	text := <-read
	if shown := strings.Count(text, "ALLOWED"); shown < printQueue || shown > printQueue+1 {
		t.Errorf("%d decisions are printed", shown)
	}
	if !strings.Contains(text, "decisions are left out") {
		t.Errorf("nothing says that some are left out:\n%s", text)
	}
}
