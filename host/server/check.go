package server

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// serveCheck is the forward-auth door: who is the caller, and which roles are active.
func (s *Server) serveCheck(w http.ResponseWriter, r *http.Request, l Listener, pathRealm, appended string) {
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
	if fault != nil {
		refuse(w, r, fault.status, fault.reason, fault.message)
		return
	}
	d, fault := s.decide(r, l, plan, realm, appended, false)
	if fault != nil {
		refuse(w, r, fault.status, fault.reason, fault.message)
		return
	}
	if s.done(r, d, start) != nil {
		unavailable(w, r)
		return
	}
	if plan.Remembers() { // what is remembered reaches no broker, who would notice that a key is gone
		if svc, ok := snap.TokenService(realm); ok {
			svc.LookAtKeys(r.Context())
		}
	}
	answer(w, r, d)
}

// done keeps what there is to be kept of a decision before it is answered: a line of the audit log, and how it went.
func (s *Server) done(r *http.Request, d pipeline.Decision, start time.Time) error {
	err := s.audit(r.Context(), d)
	if err != nil {
		d = pipeline.Decision{Realm: d.Realm, Err: err}
	}
	s.measure(r, d, start)
	return err
}

// planToDecide gives the realm's plan. That there is none for a realm that there is counts as a decision.
func (s *Server) planToDecide(snap Snapshot, r *http.Request, realm string, start time.Time) (*pipeline.Plan, *refusal) {
	p, fault := s.planOf(snap, r, realm)
	if fault != nil && fault.status == http.StatusServiceUnavailable {
		s.measure(r, pipeline.Decision{Realm: realm}, start)
	}
	return p, fault
}

// measure counts a decision.
func (s *Server) measure(r *http.Request, d pipeline.Decision, start time.Time) {
	if s.deps.Meter == nil {
		return
	}
	outcome, reason := d.Verdict.String(), ""
	switch {
	case d.Verdict == pipeline.Denied:
		reason, _, _ = public(d.Denial)
	case d.Verdict == pipeline.Unavailable && r.Context().Err() != nil:
		outcome = "abandoned"
	}
	s.deps.Meter.Decided(d.Realm, outcome, reason, time.Since(start))
}

// audit keeps a line for a decision, if there is an audit log.
func (s *Server) audit(ctx context.Context, d pipeline.Decision) error {
	if s.deps.Audit == nil {
		return nil
	}
	return s.deps.Audit.Decided(ctx, auditLine(d))
}

// auditLine gives the audit line of a decision.
func auditLine(d pipeline.Decision) audit.Event {
	e := audit.Event{Name: audit.Decision, Realm: d.Realm, PrincipalID: d.Principal.ID, Principal: d.Principal.Name, TokenID: d.TokenID}
	switch d.Verdict {
	case pipeline.Allowed:
		e.Outcome = audit.Done
	case pipeline.Denied:
		e.Outcome = audit.Refused
		e.Reason, _, _ = public(d.Denial)
	default:
		e.Outcome = audit.Unavailable
	}
	return e
}

// decide asks the plan, or knows the answer without it: no credential, or none that could be one. Nothing remembered counts if
// the decision is to be made anew.
func (s *Server) decide(r *http.Request, l Listener, plan *pipeline.Plan, realm, appended string, anew bool) (pipeline.Decision, *refusal) {
	scheme, token, fault, denial := credential(r)
	if fault != nil {
		return pipeline.Decision{}, fault
	}
	cert := peerCertificate(r)
	none := denial == nil && scheme == ""
	if none && cert == nil && !plan.NeedsHTTP() {
		denial = missing
	}
	var d pipeline.Decision
	if denial != nil {
		d = pipeline.Decision{Verdict: pipeline.Denied, Realm: realm, Denial: denial}
	} else {
		req := sdk.Request{Scheme: scheme, Token: token, Peer: r.RemoteAddr, PeerCertificate: cert}
		if plan.NeedsHTTP() {
			if req.HTTP, fault = originalOf(l, r, appended); fault != nil {
				return pipeline.Decision{}, fault
			}
			if none {
				req.Scheme, req.Token = Presigned(req.HTTP)
				none = req.Scheme == ""
			}
		}
		if anew {
			d = plan.DecideAnew(r.Context(), req)
		} else {
			d = plan.Decide(r.Context(), req)
		}
	}
	if none && d.Verdict == pipeline.Denied && (d.Denial == nil || d.Denial.Reason == reasonTokenNotRecognised) {
		d.Denial = missing
	}
	d = sane(realm, d)
	s.log(r, d)
	return d, nil
}

// missing is the no to a request without a credential (RFC 6750 section 3.1: no error code).
var missing = &sdk.Denial{Reason: reasonCredentialMissing, Detail: "the request has no credential"}

// peerCertificate gives the certificate of a TLS client, only if the listener verified it.
func peerCertificate(r *http.Request) []byte {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return nil
	}
	return r.TLS.VerifiedChains[0][0].Raw
}

// sane makes a decision that cannot be answered unavailable: of another realm, or with more roles than proxies take.
func sane(realm string, d pipeline.Decision) pipeline.Decision {
	var err error
	switch {
	case d.Realm != realm:
		err = fmt.Errorf("the plan of realm %s decided for realm %q", realm, d.Realm)
	case d.Verdict == pipeline.Allowed && encodedListLen(d.Roles) > maxRolesHeader:
		err = fmt.Errorf("the active roles of a principal do not fit into a header of %d bytes", maxRolesHeader)
	default:
		return d
	}
	return pipeline.Decision{Realm: realm, Err: err}
}

// log writes who was let in, and why not. Tokens never appear.
func (s *Server) log(r *http.Request, d pipeline.Decision) {
	level := hclog.Info
	switch {
	case d.Verdict == pipeline.Allowed, d.Verdict == pipeline.Denied:
	case r.Context().Err() != nil: // the caller did not wait: that is no fault of ours
		level = hclog.Debug
	default:
		level = hclog.Error
	}
	if level >= s.deps.Logger.GetLevel() { // a line that nobody wants costs nothing
		s.logAt(level, r, d)
	}
}

func (s *Server) logAt(level hclog.Level, r *http.Request, d pipeline.Decision) {
	line := []any{"request_id", sdk.RequestID(r.Context()), "realm", d.Realm, "verdict", d.Verdict.String(), "peer", r.RemoteAddr}
	if trace := sdk.TraceID(r.Context()); trace != "" {
		line = append(line, "trace_id", trace)
	}
	switch d.Verdict {
	case pipeline.Allowed:
		line = append(line, "tenant", d.Tenant, "source", d.Source.String(), "principal", d.Principal.Name, "principal_id", d.Principal.ID,
			"roles", d.Roles, "token_id", d.TokenID)
	case pipeline.Denied:
		reason, detail, _ := public(d.Denial)
		line = append(line, "reason", reason, "detail", detail)
	default:
		line = append(line, "error", d.Err)
	}
	s.deps.Logger.Log(level, "decision", line...)
}
