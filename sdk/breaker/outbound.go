package breaker

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// MaxServers is of how many servers of a part an Outbound keeps breakers.
const MaxServers = 1000

const (
	// forgetAfter is for how long a server is remembered that nobody asks.
	forgetAfter = 10 * time.Minute
	// longestRest is for how long an Outbound leaves a server alone at most: a try costs it little, and decisions wait for it.
	longestRest = 5 * time.Second
	// fairTime is the least time in which a server can be expected to answer: that one which had less did not says nothing. Who is
	// in a greater hurry waits in vain for themselves, and closes no way for others.
	fairTime = 500 * time.Millisecond
)

// Outbound has the breakers of the servers that the parts of a process call: one for each part and authority, whichever
// instances of the part call it, so that what one of them has found out the others need not. Parts share none, nor the room for
// them: they ask a server for different things, of which one may fail alone, and the servers of some are chosen by callers. It is
// safe for concurrent use.
type Outbound struct {
	c    Config
	fair time.Duration
	log  *slog.Logger

	mu      sync.Mutex
	parts   map[string]*part
	changes uint64
	changed chan struct{} // closed, and made anew, with each change
	sweeper *time.Timer   // nil while no server is known
	untold  []func()      // lines of the log
	telling bool          // somebody writes them
}

// part is what is known of the servers that one calls. The lock of Outbound guards it.
type part struct {
	name       string
	servers    map[string]*server // by authority
	opened     uint64             // how often a breaker opened
	overlooked uint64             // how often a server was called that has none
	full       bool               // since a server was found no room for
}

// server is what is known of one. All but the breaker is guarded by the lock of Outbound.
type server struct {
	*Breaker
	part      *part
	authority string    // scheme://host:port, or whatever [Outbound.Do] calls it
	asked     time.Time // when somebody last wanted to call it
	open      bool
	since     time.Time // of open
	why       string    // what was wrong with it last
}

// NewOutbound makes breakers of a configuration, whose MaxRest is 5 s if it has none, and whose Moved is not told. log gets a line
// when a server begins to be left alone, one when that is over, and one when further servers cannot be looked after; nil: nothing is
// logged.
func NewOutbound(c Config, log *slog.Logger) *Outbound {
	if c.Now == nil {
		c.Now = time.Now
	}
	c.MaxRest = cmp.Or(c.MaxRest, longestRest)
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Outbound{c: c, fair: fairTime, log: log, parts: map[string]*part{}, changed: make(chan struct{})}
}

type outboundKey struct{}

// WithOutbound attaches the breakers of a process to a context; the serving side does it for constructors and calls.
func WithOutbound(ctx context.Context, o *Outbound) context.Context {
	return context.WithValue(ctx, outboundKey{}, o)
}

// OutboundOf gives the breakers of the process in the context of a constructor or of a call; elsewhere, e.g. in a test of
// a part, new ones, which know of nobody.
func OutboundOf(ctx context.Context) *Outbound {
	if o, ok := ctx.Value(outboundKey{}).(*Outbound); ok {
		return o
	}
	return NewOutbound(Config{}, nil)
}

// Transport puts breakers before a transport of a part, by whose name they are counted and shown. fault says whether an error of
// the transport is the server's fault; nil: each is. What depends on the settings of an instance, as whether a certificate is
// trusted, should not be: the breakers are those of other instances, too.
func (o *Outbound) Transport(part string, base http.RoundTripper, fault func(error) bool) *Transport {
	if fault == nil {
		fault = func(error) bool { return true }
	}
	return &Transport{outbound: o, part: part, base: base, fault: fault, name: authorityOf}
}

// TransportByPath is Transport for a part whose URLs its callers choose: each path of an authority is a server of its own, since who
// names a path that is not there must not close the way to another one.
func (o *Outbound) TransportByPath(part string, base http.RoundTripper, fault func(error) bool) *Transport {
	t := o.Transport(part, base, fault)
	t.name = func(u *url.URL) string { return authorityOf(u) + u.EscapedPath() }
	return t
}

// of gives a server of a part; nil if there is no room for it.
func (o *Outbound) of(name, authority string) *server {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.parts[name]
	if p == nil {
		p = &part{name: name, servers: map[string]*server{}}
		o.parts[name] = p
	}
	s := p.servers[authority]
	if s == nil {
		if !p.room() {
			o.overlook(p)
			return nil
		}
		s = o.add(p, authority)
	}
	s.asked = o.c.Now()
	return s
}

// add begins to look after a server. o.mu is held.
func (o *Outbound) add(p *part, authority string) *server {
	s := &server{part: p, authority: authority}
	c := o.c
	c.Moved = func(open bool) { o.moved(s, open) }
	s.Breaker = New(c)
	p.servers[authority], p.full = s, false
	if o.sweeper == nil {
		o.sweeper = time.AfterFunc(forgetAfter, o.sweep)
	}
	return s
}

// room makes room for a server: of those that are not left alone the one is forgotten that was not asked for the longest time. Who
// has the part call one new server after the other that fails once has it forget the others of these.
func (p *part) room() bool {
	if len(p.servers) < MaxServers {
		return true
	}
	var oldest *server
	for _, s := range p.servers {
		if !s.open && (oldest == nil || s.asked.Before(oldest.asked)) {
			oldest = s
		}
	}
	if oldest == nil {
		return false
	}
	delete(p.servers, oldest.authority)
	return true
}

// overlook notes that a server is called without a breaker. o.mu is held.
func (o *Outbound) overlook(p *part) {
	if p.overlooked++; !p.full {
		p.full = true
		about := []any{"part", p.name, "servers", len(p.servers)}
		o.untold = append(o.untold, func() {
			o.log.Warn("so many servers fail that further ones are called without a breaker", about...)
		})
	}
	o.change()
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
	if s.part.servers[s.authority] != s { // it was forgotten meanwhile
		return
	}
	now := o.c.Now()
	about := []any{"part", s.part.name, "server", s.authority}
	if open {
		s.part.opened++
		about = append(about, "why", s.why)
		o.untold = append(o.untold, func() {
			o.log.Warn("a server fails again and again and is left alone, but for one request that is tried now and then", about...)
		})
	} else {
		about = append(about, "after", now.Sub(s.since).Round(time.Millisecond))
		o.untold = append(o.untold, func() { o.log.Info("a server is well again", about...) })
	}
	s.open, s.since = open, now
	o.change()
}

// tell writes what is to be logged, in order, and without a lock: who reads a log may be slow, and keeps one caller waiting at most.
func (o *Outbound) tell() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.telling {
		return
	}
	o.telling = true
	for len(o.untold) > 0 {
		lines := o.untold
		o.untold = nil
		o.mu.Unlock()
		for _, line := range lines {
			line()
		}
		o.mu.Lock()
	}
	o.telling = false
}

// change has those look again who wait for a change. o.mu is held.
func (o *Outbound) change() {
	o.changes++
	close(o.changed)
	o.changed = make(chan struct{})
}

// sweep forgets the servers that nobody has asked in a long while: of those that are left alone nobody would find out that they
// are well again.
func (o *Outbound) sweep() {
	o.mu.Lock()
	defer o.mu.Unlock()
	known, told := 0, false
	for _, p := range o.parts {
		for authority, s := range p.servers {
			if o.c.Now().Sub(s.asked) >= forgetAfter {
				delete(p.servers, authority)
				told = told || s.open
			}
		}
		known += len(p.servers)
	}
	if told {
		o.change()
	}
	if o.sweeper = nil; known > 0 {
		o.sweeper = time.AfterFunc(forgetAfter, o.sweep)
	}
}
