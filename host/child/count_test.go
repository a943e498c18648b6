package child

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// countLog counts the lines of a plugin that are logged.
type countLog struct{ n atomic.Int64 }

func (c *countLog) Write(b []byte) (int, error) {
	c.n.Add(int64(strings.Count(string(b), "a line of the plugin")))
	return len(b), nil
}

// What is not logged is told, to the last line.
func TestDroppedLinesAreTold(t *testing.T) {
	var log countLog
	var told atomic.Int64
	o := newOutput(hclog.New(&hclog.LoggerOptions{Output: &log}), newBudget())
	o.count = func(lines int) { told.Add(int64(lines)) }
	const all = 3 * burstLines
	for range all {
		o.stderr([]byte("a line of the plugin"), false)
	}
	o.close(time.Minute)
	if told.Load() == 0 || told.Load()+log.n.Load() != all {
		t.Errorf("%d lines logged and %d told, of %d", log.n.Load(), told.Load(), all)
	}
}
