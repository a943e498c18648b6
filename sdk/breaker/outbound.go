package breaker

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

// MaxServers is how many servers an Outbound keeps breakers of.
const MaxServers = 1000

const (
	// forgetAfter is for how long a server is remembered to be left alone that nobody has asked for.
	forgetAfter = 10 * time.Minute
	// maxReported bounds the servers that a report names.
	maxReported = 100
	// longestRest is for how long an Outbound leaves a server alone at most: a try costs it little, and decisions wait for it.
	longestRest = 5 * time.Second
	// fairTime is the least time in which a server can be expected to answer: that one which had less did not says nothing. Who is
	// in a greater hurry waits in vain for themselves, and closes no way for others.
	fairTime = 500 * time.Millisecond
)

// Outbound has the breakers of the servers that the parts of a process call: one for each part and authority, whichever
// instances of the part call it, so that what one of them has found out the others need not. Parts share none: they ask a
// server for different things, of which one may fail alone, and the servers of some are chosen by callers. It is safe for
// concurrent use.
type Outbound struct {
	c    Config
	fair time.Duration
	log  *slog.Logger

	mu      sync.Mutex
	servers map[serverKey]*server
	opened  map[string]uint64 // by part: how often one of its breakers opened
	changes uint64
	changed chan struct{} // closed, and made anew, with each change
	sweeper *time.Timer   // nil while nothing is open
}

// serverKey is what a breaker is for.
type serverKey struct {
	part      string
	authority string // scheme://host:port, or whatever [Outbound.Do] calls it
}

// server is what is known of one. All but the breaker is guarded by the lock of Outbound.
type server struct {
	*Breaker
	key   serverKey
	asked time.Time // when somebody last wanted to call it
	open  bool
	since time.Time // of open
	why   string    // what was wrong with it last
}

// NewOutbound makes breakers of a configuration, whose MaxRest is 5 s if it has none, and whose Moved is not told. log gets a line
// when a server begins to be left alone, and one when that is over; nil: nothing is logged.
func NewOutbound(c Config, log *slog.Logger) *Outbound {
	if c.Now == nil {
		c.Now = time.Now
	}
	c.MaxRest = cmp.Or(c.MaxRest, longestRest)
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Outbound{c: c, fair: fairTime, log: log, servers: map[serverKey]*server{}, opened: map[string]uint64{}, changed: make(chan struct{})}
}

type outboundKey struct{}

// WithOutbound attaches the breakers of a process to a context; the serving side does it for constructors.
func WithOutbound(ctx context.Context, o *Outbound) context.Context {
	return context.WithValue(ctx, outboundKey{}, o)
}

// OutboundOf gives the breakers of the process in the context of a constructor; elsewhere, e.g. in a test of
// a part, new ones.
func OutboundOf(ctx context.Context) *Outbound {
	if o, ok := ctx.Value(outboundKey{}).(*Outbound); ok {
		return o
	}
	return NewOutbound(Config{}, nil)
}

// Transport puts breakers before a transport of a part, by whose type they are counted and shown. fault says whether an error of
// the transport is the server's fault; nil: each is. What depends on the settings of an instance, as whether a certificate is
// trusted, should not be: the breakers are those of other instances, too.
func (o *Outbound) Transport(part string, base http.RoundTripper, fault func(error) bool) *Transport {
	if fault == nil {
		fault = func(error) bool { return true }
	}
	return &Transport{outbound: o, part: part, base: base, fault: fault}
}

// of gives a server; nil if there are too many that fail.
func (o *Outbound) of(key serverKey) *server {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.servers[key]
	if s == nil {
		if !o.room() {
			return nil
		}
		s = &server{key: key}
		c := o.c
		c.Moved = func(open bool) { o.moved(s, open) }
		s.Breaker = New(c)
		o.servers[key] = s
	}
	s.asked = o.c.Now()
	return s
}

// room makes room for a server: those that are well are forgotten. o.mu is held.
func (o *Outbound) room() bool {
	if len(o.servers) < MaxServers {
		return true
	}
	for key, s := range o.servers {
		if s.quiet.Load() {
			delete(o.servers, key)
		}
	}
	return len(o.servers) < MaxServers
}

// failed notes what is wrong with a server.
func (o *Outbound) failed(s *server, why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s.why = why
}

// why gives what was wrong with a server last.
func (o *Outbound) why(s *server) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return s.why
}

// moved notes that the breaker of a server opened or closed.
func (o *Outbound) moved(s *server, open bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.servers[s.key] != s { // it was forgotten meanwhile
		return
	}
	now := o.c.Now()
	about := []any{"part", s.key.part, "server", s.key.authority}
	if open {
		o.opened[s.key.part]++
		o.log.Warn("a server fails again and again and is left alone, but for one request that is tried now and then", append(about, "why", s.why)...)
		if o.sweeper == nil {
			o.sweeper = time.AfterFunc(forgetAfter, o.sweep)
		}
	} else {
		o.log.Info("a server is well again", append(about, "after", now.Sub(s.since).Round(time.Millisecond))...)
	}
	s.open, s.since = open, now
	o.change()
}

// change has those look again who wait for a change. o.mu is held.
func (o *Outbound) change() {
	o.changes++
	close(o.changed)
	o.changed = make(chan struct{})
}

// sweep forgets servers that are left alone and that nobody has asked for in a long while: nobody would find out that they
// are well again.
func (o *Outbound) sweep() {
	o.mu.Lock()
	defer o.mu.Unlock()
	left, forgotten := false, false
	for key, s := range o.servers {
		switch {
		case !s.open:
		case o.c.Now().Sub(s.asked) < forgetAfter:
			left = true
		default:
			delete(o.servers, key)
			forgotten = true
		}
	}
	if forgotten {
		o.change()
	}
	if o.sweeper = nil; left {
		o.sweeper = time.AfterFunc(forgetAfter, o.sweep)
	}
}

// Report says which servers are left alone.
type Report struct {
	Changes uint64 // moves with each change
	Parts   []PartReport
}

// PartReport is about the servers of one part. Parts of which no breaker ever opened are in no report.
type PartReport struct {
	Part     string         // the type of the implementation
	Openings uint64         // how often a breaker of it opened, since the process began
	Open     int            // how many are open
	Servers  []ServerReport // those whose breakers are open, at most 100, the longest first
}

// ServerReport is about a server that is left alone.
type ServerReport struct {
	Authority string // scheme://host:port, or what [Outbound.Do] calls it
	Since     time.Time
	Why       string // what was wrong with it last
}

// Report gives what is so now, and a channel that is closed when it is no longer.
func (o *Outbound) Report() (Report, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	open := map[string][]ServerReport{}
	for key, s := range o.servers {
		if s.open {
			open[key.part] = append(open[key.part], ServerReport{Authority: key.authority, Since: s.since, Why: s.why})
		}
	}
	out := Report{Changes: o.changes}
	for part, openings := range o.opened {
		p := PartReport{Part: part, Openings: openings, Open: len(open[part]), Servers: open[part]}
		slices.SortFunc(p.Servers, func(a, b ServerReport) int {
			return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Authority, b.Authority))
		})
		p.Servers = p.Servers[:min(len(p.Servers), maxReported)]
		out.Parts = append(out.Parts, p)
	}
	slices.SortFunc(out.Parts, func(a, b PartReport) int { return cmp.Compare(a.Part, b.Part) })
	return out, o.changed
}
