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
	plugin, part                 string // of which there are as many as are configured

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

	writing *attempt // to write the first line, which somebody is at; nil: nobody is
}

// attempt is the writing of a first line. What comes meanwhile is only counted, and shares the outcome.
type attempt struct {
	done    chan struct{} // closed when err is there
	err     error
	waiting int // that count if there is a line
}

// tally counts what is not told one by one.
type tally struct {
	sweeping sync.Mutex // held by the one who ends a window, before mu

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
// since when. Lines are of one kind if they tell of the same event, outcome, reason, part of a plugin and client, from one network.
func (l *Log) Tally(ctx context.Context, e Event) error {
	if l == nil {
		return nil
	}
	e = e.bounded()
	t, a := l.tally.find(l, origin.From(ctx), e)
	switch {
	case t == nil && a == nil:
		return nil
	case t == nil && l.c.Refuse:
		<-a.done
		return a.err
	case t == nil:
		return nil
	}
	err := l.Record(ctx, e)
	l.tally.mu.Lock()
	defer l.tally.mu.Unlock()
	if err == nil {
		t.told, t.more = true, t.more+a.waiting
	}
	t.writing, a.err = nil, err
	close(a.done)
	return err
}

// Decided keeps the line of a decision about a caller. One that names nobody anybody can cause: it is tallied.
func (l *Log) Decided(ctx context.Context, e Event) error {
	if e.PrincipalID == "" && e.Principal == "" {
		return l.Tally(ctx, e)
	}
	return l.Record(ctx, e)
}

// find counts an event that needs no line of its own. Otherwise it gives the attempt to write one, and where to note what
// becomes of it, or nil if that is somebody else's to do.
func (y *tally) find(l *Log, from origin.Origin, e Event) (*tallied, *attempt) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.closed { // nobody would tell what is counted now
		t := &tallied{}
		return y.again(t)
	}
	key := tallyKey{e.Realm, e.Name, e.Outcome, e.Reason, e.Plugin, e.Part, e.ClientID, e.ClientHash, from.Network()}
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
		return y.again(y.keep(l, key, t))
	case own && e.ClientID != "":
		y.clients[client]++
		t.told, t.more = true, 1
		y.keep(l, key, t)
		return nil, nil
	}
	key.network, key.clientHash, e.ClientHash = netip.Prefix{}, "", ""
	if e.ClientID == "" && y.kept[key] == nil {
		if y.beyond++; y.beyond > summaries {
			key.realm, key.reason, key.part, e.Realm, e.Reason, e.Part, e.Detail = "", "", "", "", "", "", "" // of which there are but a few
		}
	}
	if t = y.kept[key]; t == nil {
		t = y.keep(l, key, &tallied{event: e, told: true, since: now})
	}
	t.more++
	return nil, nil
}

// begin begins a window if there is none.
func (y *tally) begin() {
	if y.kept == nil {
		y.kept, y.clients, y.prompt = map[tallyKey]*tallied{}, map[[2]string]int{}, map[string]int{}
	}
}

// again counts a repetition. The first of its kind, or the next one where that could not be written, has a line.
func (y *tally) again(t *tallied) (*tallied, *attempt) {
	switch {
	case t.told:
		t.more++
		return nil, nil
	case t.writing != nil:
		t.writing.waiting++
		return nil, t.writing
	}
	t.writing = &attempt{done: make(chan struct{})}
	return t, t.writing
}

func (y *tally) keep(l *Log, key tallyKey, t *tallied) *tallied {
	y.kept[key] = t
	if y.timer == nil && !y.closed {
		y.timer = time.AfterFunc(window, l.sweep)
	}
	return t
}

// due is what a window's end has to tell.
type due struct {
	key tallyKey
	tallied
}

// sweep ends the window: what was counted is told, and what could not be written is kept for the next time.
func (l *Log) sweep() {
	y := &l.tally
	y.sweeping.Lock()
	defer y.sweeping.Unlock()
	all := y.turn(l)
	slices.SortFunc(all, func(a, b due) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.event.Name+a.event.Reason, b.event.Name+b.event.Reason))
	})
	for _, d := range all {
		e := d.event
		e.Count, e.Since = d.more, d.since.UTC()
		if l.put(origin.With(context.Background(), d.from), e) != nil {
			y.back(l, d)
		}
	}
}

// turn begins a window without lines, and gives what is due of the last one. A first line that is being written belongs to
// the window that begins.
func (y *tally) turn(l *Log) (all []due) {
	y.mu.Lock()
	defer y.mu.Unlock()
	old := y.kept
	y.kept, y.clients, y.prompt, y.beyond, y.timer = nil, nil, nil, 0, nil
	for key, t := range old {
		if t.more > 0 {
			all = append(all, due{key, tallied{event: t.event, from: t.from, told: true, since: t.since, more: t.more}})
		}
		if t.writing != nil {
			t.more = 0
			y.begin()
			y.keep(l, key, t)
		}
	}
	return all
}

// back keeps what could not be told for the next time.
func (y *tally) back(l *Log, d due) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.begin()
	if t := y.kept[d.key]; t != nil {
		t.more, t.since = t.more+d.more, d.since
		return
	}
	y.keep(l, d.key, &d.tallied)
}

// end tells what is left, after the first lines that are being written and the window's end that is under way.
func (l *Log) end() {
	y := &l.tally
	y.mu.Lock()
	y.closed = true
	if y.timer != nil {
		y.timer.Stop()
	}
	var under []*attempt
	for _, t := range y.kept {
		if t.writing != nil {
			under = append(under, t.writing)
		}
	}
	y.mu.Unlock()
	for _, a := range under {
		<-a.done
	}
	l.sweep()
}
