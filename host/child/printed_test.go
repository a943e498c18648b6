package child

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// talk prints what a log must not have.
func talk(_, err io.Writer) {
	_, _ = fmt.Fprintln(err, "password=hunter2")
	_, _ = fmt.Fprintln(err, strings.Repeat("x", 2*maxLine), "password=hunter2")
}

// Who asks for it sees what a process prints before anything of it is hidden or dropped, and whether it ended well.
func TestPrinted(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	var mu sync.Mutex
	var printed strings.Builder
	p, err := n.Start(t.Context(), load(t, program(t, "talks")), Options{
		Logger: n.logger(), Handshake: 30 * time.Second, Connect: 20 * time.Second,
		Printed: func(s Stream, p []byte) {
			mu.Lock()
			defer mu.Unlock()
			printed.WriteString(string(s) + " " + string(p))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.Succeeded() {
		t.Error("it runs, and has ended well")
	}
	seen := func(want string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Contains(printed.String(), want)
		}
	}
	waitFor(t, "the line on stderr", seen("stderr password=hunter2"))
	waitFor(t, "the end of a line that the log cuts", seen("xxx password=hunter2"))
	p.Stop(StopGrace, nil)
	if !p.Succeeded() {
		t.Errorf("it was stopped politely: %v", p.Ended())
	}
	if strings.Contains(n.log.String(), "hunter2") {
		t.Error("the log is not redacted")
	}
	k := n.start(t, load(t, program(t, "good")))
	k.Kill()
	<-k.Exited()
	if k.Succeeded() {
		t.Error("it was killed, and has ended well")
	}
}
