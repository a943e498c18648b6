package audit

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/realmgate/realmgate/host/origin"
)

// What anybody can cause as often as they like is told in bounded space. In each window of time, lines that differ in what
// an operator looks at are written at once up to a bound. Beyond it those about a client that the realm knows come at the
// window's end, up to a bound of its own, so that no flood of others hides what happens to it; all others are counted, as is
// what repeats a line, and told at the window's end in sum. Whether a line is written at once does not depend on whether the
// realm knows the client: the time that an answer takes must not tell.
const (
	window      = time.Minute
	promptLines = 60 // of one event, written at once
	clientLines = 20 // about one client
	summaries   = 64 // of what comes beyond
)

// tallyKey is what two lines have in common of which the second one is only counted.
type tallyKey struct {
	realm, name, outcome, reason string

	clientID, clientHash string
	network              netip.Prefix // of the client's address; invalid for what comes from anywhere
}

// tallied is what is counted under a key.
type tallied struct {
	event Event
	from  origin.Origin // listener and client's address; neither for what comes from anywhere
	told  bool          // there is a line, or there will be one
	since time.Time
	more  int // that have no line of their own yet
}

// tally counts what is not told one by one.
type tally struct {
	mu      sync.Mutex
	kept    map[tallyKey]*tallied
	prompt  map[string]int    // lines that were written at once, by event
	clients map[[2]string]int // lines, by realm and client
	beyond  int               // keys of what has no line of its own
	timer   *time.Timer
	closed  bool
}

// Tally records what anybody can cause as often as they like: a refusal, above all. The first of its kind is a line, as
// with [Log.Record]; those that repeat it, or are too many, make one line together within a minute, with their count and
// since when. Lines are of one kind if they tell of the same event, outcome, reason and client, from one network.
func (l *Log) Tally(ctx context.Context, e Event) error {
	if l == nil {
		return nil
	}
	e = e.bounded()
	t := l.tally.find(l, origin.From(ctx), e)
	if t == nil {
		return nil
	}
	if err := l.Record(ctx, e); err != nil {
		return err
	}
	l.tally.mu.Lock()
	defer l.tally.mu.Unlock()
	t.told = true
	return nil
}

// Decided keeps the line of a decision about a caller. One that names nobody anybody can cause: it is tallied.
func (l *Log) Decided(ctx context.Context, e Event) error {
	if e.PrincipalID == "" && e.Principal == "" {
		return l.Tally(ctx, e)
	}
	return l.Record(ctx, e)
}

// find counts an event that needs no line of its own, and gives nil; otherwise it gives where to note that there is a line.
func (y *tally) find(l *Log, from origin.Origin, e Event) *tallied {
	y.mu.Lock()
	defer y.mu.Unlock()
	key := tallyKey{e.Realm, e.Name, e.Outcome, e.Reason, e.ClientID, e.ClientHash, from.Network()}
	if t := y.kept[key]; t != nil {
		return y.again(t)
	}
	y.begin()
	client, now := [2]string{e.Realm, e.ClientID + e.ClientHash}, l.c.Now()
	t := &tallied{event: e, from: origin.Origin{Listener: from.Listener, Client: from.Client}, since: now}
	own := y.clients[client] < clientLines
	switch {
	case y.prompt[e.Name] < promptLines && (own || client[1] == ""):
		y.prompt[e.Name]++
		y.clients[client]++
		return y.keep(l, key, t)
	case own && e.ClientID != "":
		y.clients[client]++
		t.told, t.more = true, 1
		y.keep(l, key, t)
		return nil
	}
	key.network, key.clientHash, e.ClientHash = netip.Prefix{}, "", ""
	if e.ClientID == "" && y.kept[key] == nil {
		if y.beyond++; y.beyond > summaries {
			key.realm, key.reason, e.Realm, e.Reason, e.Detail = "", "", "", "", "" // of which there are but a few
		}
	}
	if t = y.kept[key]; t == nil {
		t = y.keep(l, key, &tallied{event: e, told: true, since: now})
	}
	t.more++
	return nil
}

// begin begins a window if there is none.
func (y *tally) begin() {
	if y.kept == nil {
		y.kept, y.clients, y.prompt = map[tallyKey]*tallied{}, map[[2]string]int{}, map[string]int{}
	}
}

// again counts a repetition, unless the first of its kind could not be written.
func (y *tally) again(t *tallied) *tallied {
	if !t.told {
		return t
	}
	t.more++
	return nil
}

func (y *tally) keep(l *Log, key tallyKey, t *tallied) *tallied {
	y.kept[key] = t
	if y.timer == nil && !y.closed {
		y.timer = time.AfterFunc(window, l.sweep)
	}
	return t
}

// sweep ends the window: what was counted is told, and what could not be written is kept for the next time.
func (l *Log) sweep() {
	y := &l.tally
	y.mu.Lock()
	var due []*tallied
	for _, t := range y.kept {
		if t.more > 0 {
			due = append(due, t)
		}
	}
	old := y.kept
	y.kept, y.clients, y.prompt, y.beyond, y.timer = nil, nil, nil, 0, nil
	y.mu.Unlock()

	slices.SortFunc(due, func(a, b *tallied) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.event.Name+a.event.Reason, b.event.Name+b.event.Reason))
	})
	failed := map[*tallied]bool{}
	for _, t := range due {
		e := t.event
		e.Count, e.Since = t.more, t.since.UTC()
		failed[t] = l.put(origin.With(context.Background(), t.from), e) != nil
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	for key, t := range old {
		if !failed[t] {
			continue
		}
		y.begin()
		if t2 := y.kept[key]; t2 != nil {
			t2.more, t2.since = t2.more+t.more, t.since
			continue
		}
		y.keep(l, key, t)
	}
}

// end tells what is left.
func (l *Log) end() {
	l.tally.mu.Lock()
	l.tally.closed = true
	if l.tally.timer != nil {
		l.tally.timer.Stop()
	}
	l.tally.mu.Unlock()
	l.sweep()
}
