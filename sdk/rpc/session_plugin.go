package rpc

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/realmgate/realmgate/sdk"
)

// pluginSession is the plugin's end of a session stream.
type pluginSession struct {
	plugin *plugin
	stream grpc.BidiStreamingServer[pluginv1.OpenRequest, pluginv1.OpenResponse]
	ctx    context.Context // of every leg
	out    *outbox
	crew   *crew

	once   sync.Once
	cancel context.CancelFunc
	err    error // set before ctx ends

	mu      sync.Mutex
	legs    map[uint64]*servedLeg
	waiting map[uint64]chan *pluginv1.HostReply
	seq     atomic.Uint64 // of host calls
}

// servedLeg is a leg from its arrival to its result.
type servedLeg struct {
	leg    *pluginv1.Leg
	ctx    context.Context
	cancel context.CancelFunc
}

// Open is the contract's Session.Open. A second one replaces the first: the host reconnects this way.
func (p *plugin) Open(stream grpc.BidiStreamingServer[pluginv1.OpenRequest, pluginv1.OpenResponse]) error {
	ctx, cancel := context.WithCancel(p.forCalls(stream.Context()))
	s := &pluginSession{
		plugin: p, stream: stream, ctx: ctx, cancel: cancel, out: newOutbox(), crew: newCrew(ctx.Done()),
		legs: map[uint64]*servedLeg{}, waiting: map[uint64]chan *pluginv1.HostReply{},
	}
	if old := p.session.Swap(s); old != nil {
		old.end(errors.New("the session was opened again"))
	}
	p.arrivals.announce()
	go func() { s.end(s.out.pump(s.send)) }()
	go s.read(nil)
	go s.report()
	<-ctx.Done()
	s.end(ctx.Err())
	p.session.CompareAndSwap(s, nil)
	return status.Error(codes.Aborted, text(s.err.Error()))
}

func (s *pluginSession) send(batch []byte) error {
	m := &pluginv1.OpenResponse{}
	m.ProtoReflect().SetUnknown(batch) // the items are encoded already
	return s.stream.Send(m)
}

// end gives up every leg and everyone who waits for the host.
func (s *pluginSession) end(err error) {
	s.once.Do(func() {
		if s.err = err; err == nil {
			s.err = ErrLost
		}
		s.out.close()
		s.cancel()
	})
}

// reader is a goroutine that reads the stream and runs the legs that it finds. It runs them itself, since most take less
// time than a goroutine's start; but it must not sit in a leg while messages wait, of which one may be the answer that the
// leg is waiting for. So at the first host call of a leg, and after a moment of any, it passes the legs that are left and
// the reading on to another goroutine. It learns which instances take their time: legs of theirs run on goroutines of
// their own at once, or each would cost all others that moment.
type reader struct {
	session *pluginSession
	reads   bool // and does not only run a share of a batch's legs
	rest    []*servedLeg
	at      atomic.Uint64 // the instance that the leg is in
	state   atomic.Int32
	slow    *time.Timer
}

const (
	readerIdle int32 = iota
	readerInLeg
	readerPassed
)

// pass lets another goroutine carry on.
func (r *reader) pass() {
	if r.state.CompareAndSwap(readerInLeg, readerPassed) {
		r.session.carryOn(r.rest, r.reads)
	}
}

// runOut is pass after a moment: where one leg takes its time, the others of the batch are not risked.
func (r *reader) runOut() {
	if !r.state.CompareAndSwap(readerInLeg, readerPassed) {
		return
	}
	r.session.plugin.instances.took(r.at.Load(), 2*patience)
	for _, leg := range r.rest {
		r.session.serveApart(leg)
	}
	r.session.carryOn(nil, r.reads)
}

func (s *pluginSession) carryOn(legs []*servedLeg, reads bool) {
	if reads || len(legs) > 0 {
		s.crew.run(func() { s.run(legs, reads) })
	}
}

// serveApart serves a leg on a goroutine of its own.
func (s *pluginSession) serveApart(leg *servedLeg) {
	s.crew.run(func() { s.serve(nil, leg) })
}

func (s *pluginSession) read(legs []*servedLeg) { s.run(legs, true) }

// run runs the legs and, if it reads, goes on with what the stream brings.
func (s *pluginSession) run(legs []*servedLeg, reads bool) {
	r := &reader{session: s, reads: reads}
	r.slow = time.AfterFunc(time.Hour, r.runOut)
	defer r.slow.Stop()
	for {
		for len(legs) > 0 {
			leg := legs[0]
			legs = legs[1:]
			if s.plugin.instances.block(leg.leg.GetSteps()) {
				s.serveApart(leg)
				continue
			}
			r.rest = legs
			r.state.Store(readerInLeg)
			r.slow.Reset(patience)
			s.serve(r, leg)
			if !r.state.CompareAndSwap(readerInLeg, readerIdle) {
				return // another goroutine has taken over
			}
			r.slow.Stop()
		}
		if !reads {
			return
		}
		m, err := s.stream.Recv()
		if err != nil {
			s.end(err)
			return
		}
		legs = s.share(s.receive(m))
	}
}

// share gives parts of a large batch to other goroutines, so that all processors work on it.
func (s *pluginSession) share(legs []*servedLeg) []*servedLeg {
	const worth = 4 // legs
	parts := min(runtime.GOMAXPROCS(0)-1, len(legs)/worth)
	for ; parts > 1; parts-- {
		n := len(legs) / parts
		s.carryOn(legs[:n:n], false)
		legs = legs[n:]
	}
	return legs
}

// receive takes a message in and gives the legs in it that are to be run.
func (s *pluginSession) receive(m *pluginv1.OpenRequest) []*servedLeg {
	legs := make([]*servedLeg, 0, len(m.GetLegs()))
	s.mu.Lock()
	for _, leg := range m.GetLegs() {
		if len(s.legs) >= maxServedLegs {
			s.out.push(fieldResults, &pluginv1.LegResult{Id: leg.GetId(), Failure: &pluginv1.Failure{Message: "the plugin has too many calls in flight"}})
			continue
		}
		l := &servedLeg{leg: leg}
		l.ctx, l.cancel = context.WithTimeout(s.ctx, timeoutFromProto(leg.GetTimeoutUs()))
		s.legs[leg.GetId()] = l
		legs = append(legs, l)
	}
	for _, c := range m.GetCancels() {
		if l := s.legs[c.GetLegId()]; l != nil {
			l.cancel()
		}
	}
	for _, reply := range m.GetReplies() {
		if c := s.waiting[reply.GetId()]; c != nil {
			delete(s.waiting, reply.GetId())
			c <- reply // has room for the one
		}
	}
	s.mu.Unlock()
	return legs
}

// serve runs one leg and queues its result; r is the reader that does so, nil on a goroutine of the leg's own.
func (s *pluginSession) serve(r *reader, l *servedLeg) {
	defer func() {
		l.cancel()
		s.mu.Lock()
		delete(s.legs, l.leg.GetId())
		s.mu.Unlock()
	}()
	result := s.leg(r, l)
	err := s.out.put(s.ctx, fieldResults, result)
	if err != nil && result.GetDenial() != nil { // the no matters, not what led to it
		result.Added = nil
		err = s.out.put(s.ctx, fieldResults, result)
	}
	if err != nil && s.ctx.Err() == nil { // it cannot be sent as it is
		var f *Failure
		if errors.As(err, &f) {
			err = &ownFailure{f}
		}
		s.out.push(fieldResults, &pluginv1.LegResult{Id: l.leg.GetId(), Failure: failureToProto(err)})
	}
}

// step runs one step and sees to it that the session learns how long it takes.
func (s *pluginSession) step(l *servedLeg, sv *serving, k sdk.Kind, id uint64, st *sdk.State) error {
	if sv.reader != nil {
		sv.reader.at.Store(id)
		return s.plugin.step(l.ctx, sv, k, id, st)
	}
	since := time.Now()
	err := s.plugin.step(l.ctx, sv, k, id, st)
	s.plugin.instances.took(id, time.Since(since))
	return err
}

func (s *pluginSession) leg(r *reader, l *servedLeg) *pluginv1.LegResult {
	out := &pluginv1.LegResult{Id: l.leg.GetId()}
	sv := &serving{
		callID: l.leg.GetId(), realm: l.leg.GetRealm(), requestID: l.leg.GetRequestId(), trace: sdk.ParseTrace(l.leg.GetTraceparent()), epoch: l.leg.GetEpoch(),
		session: s, reader: r,
	}
	st := stateFromProto(l.leg.GetState(), sv.realm)
	if l.leg.GetExplain() {
		st.Notes = &sdk.Notes{}
	}
	var done []sdk.Kind
	for n, step := range l.leg.GetSteps() {
		k := sdk.Kind(step.GetKind())
		err := l.ctx.Err() // nothing is begun that nobody waits for
		if err == nil {
			var hinted uint32
			hinted, err = hintedStep(n, st, func() error { return s.step(l, sv, k, step.GetInstanceId(), st) })
			out.Hinted |= hinted
			if over := l.ctx.Err(); over != nil { // the host is to know which step took the time
				out.Late = true
				if err == nil {
					err = over
				}
			}
		}
		if err != nil {
			if d := sdk.AsDenial(err); d != nil {
				out.Denial = denialToProto(d)
			} else {
				out.Failure = failureToProto(err)
			}
			break
		}
		done = append(done, k)
	}
	out.StepsDone = uint32(len(done))
	out.Added = addedToProto(done, st)
	out.Cache = hintToProto(st.Cache)
	out.Notes = st.Notes.List()
	return out
}
