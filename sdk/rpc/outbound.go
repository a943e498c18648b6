package rpc

import (
	"sync"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/protobuf/proto"

	"github.com/realmgate/realmgate/sdk/breaker"
)

// OutboundWatcher is the ability of HostServices to be told which other servers the process leaves alone. Outbound is given what is
// so from now on, first of all that of a session which is not nothing. It must not wait.
type OutboundWatcher interface {
	Outbound([]breaker.PartReport)
}

// featureOutbound is what a host says in Describe that takes these reports.
const featureOutbound = "outbound"

const (
	// reportPause is between two reports of a session: what changes meanwhile is in the next one.
	reportPause = 100 * time.Millisecond

	maxParts     = 64  // of a report
	maxServers   = 100 // of a part
	maxAuthority = 300 // bytes
	maxReason    = 100 // bytes
)

// report tells the host of the servers that are left alone, until the session ends.
func (s *pluginSession) report() {
	if !s.plugin.wantsReports.Load() {
		return
	}
	for {
		r, changed := s.plugin.outbound.Report()
		if r.Changes > 0 && s.out.put(s.ctx, fieldOutbound, reportToProto(r)) != nil {
			return
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
			return
		}
		select {
		case <-time.After(reportPause):
		case <-s.ctx.Done():
			return
		}
	}
}

// reports takes reports of a process in, whichever sessions they come from.
type reports struct {
	mu   sync.Mutex
	last uint64 // changes
}

// reported passes the last one on, unless a later one was there before, on a session that took this one's place.
func (p *Process) reported(all []*pluginv1.OutboundReport) {
	if len(all) == 0 {
		return
	}
	w, ok := p.host.(OutboundWatcher)
	m := all[len(all)-1]
	if !ok || proto.Size(m) > maxItem {
		return
	}
	p.reports.mu.Lock()
	defer p.reports.mu.Unlock()
	if m.GetChanges() <= p.reports.last {
		return
	}
	p.reports.last = m.GetChanges()
	w.Outbound(partsFromProto(m.GetParts()))
}

func reportToProto(r breaker.Report) *pluginv1.OutboundReport {
	out := &pluginv1.OutboundReport{Changes: r.Changes}
	for _, p := range r.Parts[:min(len(r.Parts), maxParts)] {
		x := &pluginv1.OutboundPart{Type: text(p.Part), Openings: p.Openings, Open: uint32(p.Open), Overlooked: p.Overlooked}
		for _, s := range p.Servers {
			x.Servers = append(x.Servers, &pluginv1.OutboundServer{
				Authority: text(cut(s.Authority, maxAuthority)), SinceUnixMs: s.Since.UnixMilli(), Reason: text(s.Why),
			})
		}
		out.Parts = append(out.Parts, x)
	}
	return out
}

// partsFromProto takes what is well-formed, within bounds.
func partsFromProto(all []*pluginv1.OutboundPart) []breaker.PartReport {
	var out []breaker.PartReport
	for _, x := range all[:min(len(all), maxParts)] {
		if !isName(x.GetType()) {
			continue
		}
		p := breaker.PartReport{
			Part: x.GetType(), Openings: x.GetOpenings(), Open: int(min(x.GetOpen(), breaker.MaxServers)), Overlooked: x.GetOverlooked(),
		}
		for _, s := range x.GetServers()[:min(len(x.GetServers()), maxServers)] {
			p.Servers = append(p.Servers, breaker.ServerReport{
				Authority: text(cut(s.GetAuthority(), maxAuthority)), Since: timeFromProto(s.GetSinceUnixMs()), Why: text(cut(s.GetReason(), maxReason)),
			})
		}
		out = append(out, p)
	}
	return out
}

// cut gives at most most bytes.
func cut(s string, most int) string { return s[:min(len(s), most)] }
