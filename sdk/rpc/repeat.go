package rpc

import (
	"errors"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/realmgate/realmgate/sdk"
)

// ErrRepeatable is in the chain of an [ErrLost] of a call that the contract lets be made once more, on the process that takes
// the place of the one that was lost: its rpc has an idempotency_level.
var ErrRepeatable = errors.New("the call may be made once more")

// ErrNoEffect is in the chain of an [ErrRepeatable] of a call whose rpc has NO_SIDE_EFFECTS: it may be made once more on the
// process that had it, too, which may take any other one for a replay.
var ErrNoEffect = errors.New("the call has no side effects")

// repeatable has the idempotency levels of all calls, by the name of the request: each belongs to one rpc.
var repeatable = repeatableRequests()

func repeatableRequests() map[protoreflect.FullName]descriptorpb.MethodOptions_IdempotencyLevel {
	out := map[protoreflect.FullName]descriptorpb.MethodOptions_IdempotencyLevel{}
	for _, file := range []protoreflect.FileDescriptor{pluginv1.File_realmgate_plugin_v1_kinds_proto, pluginv1.File_realmgate_plugin_v1_plugin_proto} {
		services := file.Services()
		for i := range services.Len() {
			methods := services.Get(i).Methods()
			for j := range methods.Len() {
				o, _ := methods.Get(j).Options().(*descriptorpb.MethodOptions)
				out[methods.Get(j).Input().FullName()] = o.GetIdempotencyLevel()
			}
		}
	}
	return out
}

// stepRequests are the requests of the rpcs that do alone what the steps of a leg do.
var stepRequests = map[sdk.Kind]proto.Message{
	sdk.KindIdentityProvider:     &pluginv1.IdentifyRequest{},
	sdk.KindPrincipalMapper:      &pluginv1.MapPrincipalRequest{},
	sdk.KindPrincipalRolesMapper: &pluginv1.MapRolesRequest{},
	sdk.KindAuthenticator:        &pluginv1.AuthenticateRequest{},
	sdk.KindActiveRolesProvider:  &pluginv1.ActiveRolesRequest{},
	sdk.KindTokenBroker:          &pluginv1.VerifyRequest{},
}

// lostError is an ErrLost of a call that may be repeated.
type lostError struct {
	error
	noEffect bool
}

func (e lostError) Unwrap() []error {
	if e.noEffect {
		return []error{e.error, ErrRepeatable, ErrNoEffect}
	}
	return []error{e.error, ErrRepeatable}
}

// orRepeat says in a loss whether the call with these requests may be made once more.
func orRepeat(err error, requests ...proto.Message) error {
	if !errors.Is(err, ErrLost) {
		return err
	}
	out := lostError{err, true}
	for _, q := range requests {
		level := descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
		if q != nil {
			level = repeatable[q.ProtoReflect().Descriptor().FullName()]
		}
		if level == descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN {
			return err
		}
		out.noEffect = out.noEffect && level == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
	}
	return out
}

// orRepeatSteps is orRepeat for a leg.
func orRepeatSteps(err error, steps []Step) error {
	if err == nil || !errors.Is(err, ErrLost) {
		return err
	}
	requests := make([]proto.Message, len(steps))
	for n, s := range steps {
		requests[n] = stepRequests[s.Kind]
	}
	return orRepeat(err, requests...)
}
