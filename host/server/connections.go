package server

import (
	"net/http"
	"time"

	"github.com/realmgate/realmgate/host/connection"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// serveConnections lets a caller of the realm to its connections. Who that is is decided as at the check door, each time and
// with nothing remembered, for bearer tokens only: a signature that was made for some other request opens nothing here.
func (s *Server) serveConnections(w http.ResponseWriter, r *http.Request, l Listener, pathRealm, rest string) {
	snap, leave := s.deps.Enter()
	defer leave()
	if snap == nil {
		unavailable(w, r)
		return
	}
	start := time.Now()
	realm, fault := realmOf(snap, l, r, pathRealm)
	var plan *pipeline.Plan
	if fault == nil {
		plan, fault = s.planToDecide(snap, r, realm, start)
	}
	var d pipeline.Decision
	if fault == nil {
		d, fault = s.decideToken(r, plan, realm)
	}
	if fault != nil {
		refuse(w, r, fault.status, fault.reason, fault.message)
		return
	}
	if s.done(r, d, start) != nil {
		unavailable(w, r)
		return
	}
	if d.Verdict != pipeline.Allowed {
		answer(w, r, d)
		return
	}
	svc, err := snap.Connections(realm)
	if err != nil {
		s.deps.Logger.Warn("connections are not served", "request_id", sdk.RequestID(r.Context()), "realm", realm, "error", err)
		refuse(w, r, http.StatusServiceUnavailable, reasonUnavailable, "the realm's connections are not served at the moment")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxConnection)
	svc.Serve(w, r, connection.Actor{Principal: d.Principal, Roles: d.Roles}, rest)
}

// decideToken decides on the bearer token of a request that is for us. What a proxy says about some original request does
// not count.
func (s *Server) decideToken(r *http.Request, plan *pipeline.Plan, realm string) (pipeline.Decision, *refusal) {
	scheme, _, fault, denial := credential(r)
	if fault == nil && denial == nil && scheme != "bearer" {
		d := pipeline.Decision{Verdict: pipeline.Denied, Realm: realm, Denial: missing}
		if scheme != "" {
			d.Denial = onlyTokens
		}
		s.log(r, d)
		return d, nil
	}
	return s.decide(r, Listener{}, plan, realm, "", true)
}

// onlyTokens is the no to a credential that is no bearer token.
var onlyTokens = &sdk.Denial{Reason: reasonTokenNotRecognised, Detail: "a bearer token is needed here"}
