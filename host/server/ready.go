package server

import (
	"context"
	"net/http"

	"github.com/realmgate/realmgate/sdk"
)

// readiness is the body of readyz: counts only, since anybody may ask.
type readiness struct {
	Ready     bool `json:"ready"`
	Directory bool `json:"directory"` // it answers
	Realms    struct {
		Served    int `json:"served"`
		NotServed int `json:"not_served"`
	} `json:"realms"`
}

// serveReady answers 200 if the directory answers and at least one realm is served. A server that drains does not answer:
// its ports are closed.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), pingTimeout)
	defer cancel()
	var b readiness
	err := s.deps.Directory.Ping(ctx)
	b.Directory = err == nil
	if err != nil {
		s.deps.Logger.Warn("the directory does not answer", "request_id", sdk.RequestID(r.Context()), "error", err)
	}
	snap, leave := s.deps.Enter()
	leave()
	if snap != nil {
		for _, realm := range s.deps.Realms() {
			if realm.Served {
				b.Realms.Served++
			} else {
				b.Realms.NotServed++
			}
		}
	}
	b.Ready = b.Directory && b.Realms.Served > 0
	status := http.StatusOK
	if !b.Ready {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, status, b)
}
