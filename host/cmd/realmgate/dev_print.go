package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/explain"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

const (
	// printQueue is how many decisions wait for a reader of the output.
	printQueue = 64
	// lastPrints is how long the end waits for a reader to take what is left.
	lastPrints = time.Second
)

// decisions prints each decision with what led to it. A reader that stalls keeps no decision waiting: what does not fit into
// the queue is left out and counted.
type decisions struct {
	queue   chan admin.Explanation
	leftOut atomic.Int64
	ending  chan struct{}
	ended   chan struct{}
}

func newDecisions(out io.Writer) *decisions {
	d := &decisions{queue: make(chan admin.Explanation, printQueue), ending: make(chan struct{}), ended: make(chan struct{})}
	go d.run(out)
	return d
}

func (d *decisions) decide(ctx context.Context, gen *generation.Generation, realm string, req sdk.Request) pipeline.Decision {
	decision, e := explain.Decide(ctx, gen, realm, req)
	d.print(e)
	return decision
}

func (d *decisions) print(e admin.Explanation) {
	select {
	case d.queue <- e:
	default:
		d.leftOut.Add(1)
	}
}

func (d *decisions) run(out io.Writer) {
	defer close(d.ended)
	for {
		select {
		case e := <-d.queue:
			d.write(out, e)
			continue
		case <-d.ending:
		}
		for len(d.queue) > 0 { // nobody else takes from it
			d.write(out, <-d.queue)
		}
		return
	}
}

// write prints one decision. A reader who has gone does not end decisions.
func (d *decisions) write(out io.Writer, e admin.Explanation) {
	w := bufio.NewWriter(out)
	fmt.Fprintln(w, strings.Repeat("-", 80))
	decisionText(w, e, true)
	if n := d.leftOut.Swap(0); n > 0 {
		fmt.Fprintf(w, "(%d decisions are left out here or soon after: the output was not read in time)\n", n)
	}
	_ = w.Flush()
}

// end prints what waits, as far as it is read in time.
func (d *decisions) end() {
	close(d.ending)
	select {
	case <-d.ended:
	case <-time.After(lastPrints):
	}
}
