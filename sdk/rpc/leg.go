package rpc

import (
	"context"
	"time"
	"unicode/utf8"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"

	"github.com/realmgate/realmgate/sdk"
)

// runLeg runs the steps as one leg on the session stream.
func (p *Process) runLeg(ctx context.Context, realm string, steps []Step, st *sdk.State) error {
	s := p.session.Load()
	if s == nil {
		return ErrLost
	}
	state, err := stateToProto(steps, st)
	if err != nil {
		return err
	}
	c := &call{
		ctx: ctx, realm: realm, requestID: text(sdk.RequestID(ctx)), parties: steps,
		result: make(chan *pluginv1.LegResult, 1),
	}
	if err := p.calls.enter(c); err != nil {
		return unanswered(err, len(steps), nil)
	}
	defer p.calls.leave(c)
	leg := &pluginv1.Leg{
		Id: c.id, Realm: realm, RequestId: c.requestID, Traceparent: sdk.TraceParent(ctx), Epoch: p.epoch(realm), State: state, TimeoutUs: 1,
		Explain: st.Notes != nil, Steps: make([]*pluginv1.Step, len(steps)),
	}
	for i, step := range steps {
		leg.Steps[i] = &pluginv1.Step{Kind: pluginv1.Kind(step.Kind), InstanceId: step.Instance}
	}
	if d, ok := ctx.Deadline(); ok {
		leg.TimeoutUs = max(1, time.Until(d).Microseconds())
	}
	if err := s.out.put(ctx, fieldLegs, leg); err != nil {
		return unanswered(err, len(steps), nil)
	}
	select {
	case r := <-c.result:
		return p.take(ctx, steps, r, st)
	case <-ctx.Done():
		at := s.left.add(c.id, steps)
		select {
		case r := <-c.result: // just now
			s.left.remove(r)
		default:
		}
		s.out.push(fieldCancels, &pluginv1.Cancel{LegId: c.id})
		return unanswered(givenUp(ctx), len(steps), at)
	case <-s.lost:
		return s.err
	}
}

// take merges the result of a leg into the state. Nothing in it is believed that the steps could not have made.
func (p *Process) take(ctx context.Context, steps []Step, r *pluginv1.LegResult, st *sdk.State) error {
	st.Cache = st.Cache.Least(hintFromProto(r.GetCache()))
	if int64(r.GetStepsDone()) > int64(len(steps)) {
		return failf(CodeError, "the plugin's answer speaks of %d steps of %d", r.GetStepsDone(), len(steps))
	}
	for _, note := range r.GetNotes() {
		st.Notes.Add("%s", note)
	}
	done := steps[:r.GetStepsDone()]
	p.cacheable.bound(steps[:min(len(done)+1, len(steps))], r.GetHinted(), st)
	var no error
	switch {
	case r.GetFailure() != nil:
		no = failureFromProto(r.GetFailure())
	case r.GetDenial() != nil:
		no = deniedBy(steps[len(done):], denialFromProto(r.GetDenial()))
	case len(done) < len(steps):
		return failf(CodeError, "the plugin ended after %d steps of %d and does not say why", len(done), len(steps))
	}
	impl := replay{process: p, added: r.GetAdded()}
	for _, step := range done {
		impl.step = step
		if err := sdk.Step(ctx, step.Kind, impl, st); err != nil {
			if no != nil {
				return no // what led to a no is told if it can be; the no stands either way
			}
			return err
		}
	}
	return no
}

// deniedBy checks a denial against the step that said it, the first of those that are left. not_mine lets a realm ask
// elsewhere, so only a verifier may say it.
func deniedBy(left []Step, d *sdk.Denial) error {
	switch {
	case len(left) == 0:
		return failf(CodeError, "the plugin denies (%s) after all steps have succeeded", d.Reason)
	case d.Reason == sdk.ReasonNotMine && left[0].Kind != sdk.KindTokenBroker && left[0].Kind != sdk.KindIdentityProvider:
		return failf(CodeError, "%v answered %s, which only a verifier may", left[0].Kind, d.Reason)
	}
	return d
}

// checkRequest refuses what no message could carry. The bytes come from the caller, so it is the caller's fault.
func checkRequest(r *sdk.Request) error {
	if r == nil {
		return nil
	}
	ok := utf8.ValidString(r.Scheme) && utf8.ValidString(r.Token) && utf8.ValidString(r.Peer)
	if m := r.HTTP; ok && m != nil {
		ok = utf8.ValidString(m.Method) && utf8.ValidString(m.Scheme) && utf8.ValidString(m.Host) && utf8.ValidString(m.BodySHA256)
		for i := 0; ok && i < len(m.Header); i++ {
			ok = utf8.ValidString(m.Header[i].Name) // values travel as bytes
		}
	}
	if !ok {
		return sdk.Deny("malformed_request", "the request is not valid UTF-8")
	}
	return nil
}
