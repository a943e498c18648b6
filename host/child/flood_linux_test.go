package child

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

const floodLines = 30000

// flood prints much more than may be logged, before the handshake and so without a reader that hurries.
func flood(_, err io.Writer) {
	for n := range floodLines {
		_, _ = fmt.Fprintln(err, "flood", n)
	}
	_, _ = fmt.Fprintln(err, "the flood is over")
}

// TestFlood: a plugin does not fill the disk, and what is not logged is counted.
func TestFlood(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	i := load(t, program(t, "flood"))
	for round := 1; round <= 2; round++ { // a restart gives no new budget
		start := time.Now()
		p := n.start(t, i)
		answers(t, p)
		waitFor(t, "all was read", func() bool { return p.child.out.lastWords() == "the flood is over" })
		p.Stop(StopGrace, nil)
		logged, dropped := 0, 0
		for l := range strings.Lines(n.log.String()) {
			var entry struct {
				Message string `json:"@message"`
				Lines   int
			}
			if err := json.Unmarshal([]byte(l), &entry); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(entry.Message, "flood") {
				logged++
			}
			dropped += entry.Lines
		}
		if logged+dropped < round*(floodLines+1) || dropped == 0 {
			t.Errorf("%d lines are logged and %d dropped, of %d", logged, dropped, round*(floodLines+1))
		}
		if most := burstLines + round*lineRate*int(time.Since(start)/time.Second+1); logged > most {
			t.Errorf("%d lines are logged, at most %d", logged, most)
		}
	}
}

// stuckLog is a log whose disk does not answer.
type stuckLog chan struct{}

func (s stuckLog) Write(b []byte) (int, error) {
	<-s
	return len(b), nil
}

// TestStuckLog: a log that does not take anything holds no plugin up.
func TestStuckLog(t *testing.T) {
	t.Parallel()
	n := newNursery(t)
	stuck := make(stuckLog)
	defer close(stuck)
	p, err := n.Start(t.Context(), load(t, program(t, "flood")), Options{Handshake: 30 * time.Second, Connect: 20 * time.Second,
		Logger: hclog.New(&hclog.LoggerOptions{Output: stuck, Level: hclog.Debug})})
	if err != nil {
		t.Fatal(err)
	}
	answers(t, p)
	p.Stop(StopGrace, nil)
	if alive(p.PID()) {
		t.Error("the process is left")
	}
}
