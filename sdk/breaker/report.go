package breaker

import (
	"cmp"
	"slices"
	"time"
)

// maxReported bounds the servers that a report names.
const maxReported = 100

// Report says which servers are left alone.
type Report struct {
	Changes uint64 // moves with each change
	Parts   []PartReport
}

// PartReport is about the servers of one part. Parts of which no breaker ever opened are in no report.
type PartReport struct {
	Part       string         // a name that the plugin gives, usually the type of the implementation
	Openings   uint64         // how often a breaker of it opened, since the process began
	Open       int            // how many are open
	Servers    []ServerReport // those whose breakers are open, at most 100, the longest first
	Overlooked uint64         // how often it called a server without a breaker, since MaxServers others were open, since the process began
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
	out := Report{Changes: o.changes}
	for _, p := range o.parts {
		if p.opened > 0 {
			out.Parts = append(out.Parts, p.report())
		}
	}
	slices.SortFunc(out.Parts, func(a, b PartReport) int { return cmp.Compare(a.Part, b.Part) })
	return out, o.changed
}

func (p *part) report() PartReport {
	out := PartReport{Part: p.name, Openings: p.opened, Overlooked: p.overlooked}
	for _, s := range p.servers {
		if s.open {
			out.Servers = append(out.Servers, ServerReport{Authority: s.authority, Since: s.since, Why: s.why})
		}
	}
	slices.SortFunc(out.Servers, func(a, b ServerReport) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Authority, b.Authority))
	})
	out.Open = len(out.Servers)
	out.Servers = out.Servers[:min(out.Open, maxReported)]
	return out
}
