package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/realmgate/realmgate/sdk"
)

// Field numbers of the batches on the session stream.
const (
	fieldLegs    = 1
	fieldReplies = 2
	fieldCancels = 3

	fieldResults   = 1
	fieldHostCalls = 2
	fieldOutbound  = 3
)

// hostSession is the host's end of a session stream.
type hostSession struct {
	process *Process
	stream  grpc.BidiStreamingClient[pluginv1.OpenRequest, pluginv1.OpenResponse]
	out     *outbox
	left    leftLegs
	lanes   [maxDepth]lane // of host calls, by depth: those that wait for nested ones do not starve them

	once   sync.Once
	cancel context.CancelFunc
	lost   chan struct{}
	err    error // set before lost is closed
}

func openHostSession(ctx context.Context, p *Process) (*hostSession, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := pluginv1.NewSessionClient(p.cc).Open(ctx, callOptions...)
	if err != nil {
		cancel()
		return nil, fromStatus(ctx, &answer{}, err)
	}
	s := &hostSession{process: p, stream: stream, out: newOutbox(), cancel: cancel, lost: make(chan struct{})}
	go func() { s.end(s.out.pump(s.send)) }()
	go func() { s.end(s.read()) }()
	return s, nil
}

func (s *hostSession) send(batch []byte) error {
	m := &pluginv1.OpenRequest{}
	m.ProtoReflect().SetUnknown(batch) // the items are encoded already
	return s.stream.Send(m)
}

func (s *hostSession) end(err error) {
	s.once.Do(func() {
		s.err = ErrLost
		if err != nil {
			s.err = fmt.Errorf("%w: %s", ErrLost, text(err.Error()))
		}
		s.out.close()
		close(s.lost)
		s.cancel()
	})
}

// read never waits for anything but the stream: results go to channels with room, host calls to goroutines.
func (s *hostSession) read() error {
	for {
		m, err := s.stream.Recv()
		if err != nil {
			return err
		}
		for _, r := range m.GetResults() {
			if n := proto.Size(r); n > maxItem {
				r = &pluginv1.LegResult{Id: r.GetId(), Failure: failureToProto(&ownFailure{tooLarge(n)})}
			}
			// A result whose leg was given up has no taker; a second result of a leg finds no room.
			if c := s.process.calls.get(r.GetId()); c != nil && c.result != nil {
				select {
				case c.result <- r:
				default:
				}
			}
			s.left.remove(r) // after the delivery: the leg may be given up at the same time
		}
		for _, hc := range m.GetCalls() {
			s.hostCall(hc)
		}
		s.process.reported(m.GetOutbound())
	}
}

func (s *hostSession) hostCall(hc *pluginv1.HostCall) {
	refuse := func(reason string) {
		s.out.push(fieldReplies, replyFailure(hc.GetId(), errors.New(reason)))
	}
	size := proto.Size(hc)
	if size > maxItem {
		s.out.push(fieldReplies, replyFailure(hc.GetId(), &ownFailure{tooLarge(size)}))
		return
	}
	c := s.process.calls.get(hc.GetCallId())
	if c == nil {
		refuse("the call that the host is asked for has ended")
		return
	}
	caller, ok := c.caller(hc.GetInstanceId())
	if !ok {
		refuse("the instance takes no part in the call that the host is asked for")
		return
	}
	parent, ok := c.hostContext(s.process.host)
	if !ok {
		refuse("the call that the host is asked for has ended")
		return
	}
	deadline := time.Now().Add(timeoutFromProto(hc.GetTimeoutUs()))
	if !s.lanes[c.depth].run(size, func() {
		ctx, cancel := context.WithDeadline(parent, deadline)
		defer cancel()
		reply := s.answer(ctx, caller, hc)
		if err := s.out.put(s.stream.Context(), fieldReplies, reply); err != nil {
			s.out.push(fieldReplies, replyFailure(hc.GetId(), err))
		}
	}) {
		refuse("the plugin asks the host too much at a time")
	}
}

// answer answers a host call. Only a look-up may end with a denial, and with none that speaks for a verifier: everything
// else that goes wrong is not the caller's fault.
func (s *hostSession) answer(ctx context.Context, caller Caller, hc *pluginv1.HostCall) *pluginv1.HostReply {
	out := &pluginv1.HostReply{Id: hc.GetId()}
	err := sdk.Guard(func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch q := hc.GetCall().(type) {
		case *pluginv1.HostCall_FindPrincipal:
			ref := refFromProto(q.FindPrincipal.GetRef())
			if ref == nil {
				return errors.New("the look-up has no reference")
			}
			if len(ref.ID) > maxRef || len(ref.Name) > maxRef {
				return sdk.Forbid("principal_unknown", "no principal has an id or a name of more than %d bytes", maxRef)
			}
			p, err := s.process.host.FindPrincipal(ctx, caller, *ref)
			out.Reply = &pluginv1.HostReply_Principal{Principal: principalToProto(&p)}
			return err
		case *pluginv1.HostCall_FindAccessKey:
			id := q.FindAccessKey.GetId()
			if id == "" || len(id) > maxKeyID {
				return sdk.Deny("access_key_unknown", "an access key's id has 1 to %d bytes", maxKeyID)
			}
			k, err := s.process.host.FindAccessKey(ctx, caller, id)
			out.Reply = &pluginv1.HostReply_AccessKey{AccessKey: accessKeyToProto(k)}
			return err
		case *pluginv1.HostCall_ResolveSecret:
			ref, err := sdk.ParseSecretRef(q.ResolveSecret.GetReference())
			if err != nil {
				return err
			}
			secret, err := s.process.host.ResolveSecret(ctx, caller, ref)
			out.Reply = &pluginv1.HostReply_Secret{Secret: secretToProto(secret)}
			return err
		}
		return &ownFailure{failf(CodeUnsupported, "the host does not know this kind of call")}
	})
	lookUp := hc.GetFindPrincipal() != nil || hc.GetFindAccessKey() != nil
	if d := sdk.AsDenial(err); d != nil && lookUp && d.Reason != sdk.ReasonNotMine {
		out.Reply = &pluginv1.HostReply_Denial{Denial: denialToProto(d)}
	} else if err != nil {
		return replyFailure(hc.GetId(), err)
	}
	return out
}

func replyFailure(id uint64, err error) *pluginv1.HostReply {
	return &pluginv1.HostReply{Id: id, Reply: &pluginv1.HostReply_Failure{Failure: failureToProto(err)}}
}
