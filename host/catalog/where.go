package catalog

import "github.com/realmgate/realmgate/host/child"

// Where is where an instance is served at a moment.
type Where struct {
	Plugin   string
	Version  string // of the plugin; empty while it does not run
	Digest   string // of what is executed; empty while it does not run
	PID      int    // 0 while it does not run
	State    State
	Instance uint64 // see Handle.ID
}

// Where says where the instance is served now; the zero Where for the zero Handle.
func (h Handle) Where() Where {
	if h.inst == nil {
		return Where{}
	}
	p := h.inst.p
	p.mu.Lock()
	out := Where{Plugin: p.src.Name, State: p.state, Instance: h.inst.id}
	digest := p.digest
	p.mu.Unlock()
	if b := h.inst.bound.Load(); b != nil {
		out.Version, out.Digest, out.PID = child.Printable(b.x.manifest.Version, 64), digest, b.x.child.PID()
	}
	return out
}
