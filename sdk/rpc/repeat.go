package rpc

import (
	"errors"
	"slices"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/realmgate/realmgate/sdk"
)

// ErrRepeatable is in the chain of an [ErrLost] of a call that the contract lets be made once more, on the process that takes
// the place of the one that was lost: its rpc has an idempotency_level.
var ErrRepeatable = errors.New("the call may be made once more")

// repeatable has the requests of the calls that may be repeated, by name: each belongs to one rpc.
var repeatable = repeatableRequests()

func repeatableRequests() map[protoreflect.FullName]bool {
	out := map[protoreflect.FullName]bool{}
	for _, file := range []protoreflect.FileDescriptor{pluginv1.File_realmgate_plugin_v1_kinds_proto, pluginv1.File_realmgate_plugin_v1_plugin_proto} {
		services := file.Services()
		for i := range services.Len() {
			methods := services.Get(i).Methods()
			for j := range methods.Len() {
				o, ok := methods.Get(j).Options().(*descriptorpb.MethodOptions)
				out[methods.Get(j).Input().FullName()] = ok && o.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
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
type lostError struct{ error }

func (e lostError) Unwrap() []error { return []error{e.error, ErrRepeatable} }

// orRepeat says in a loss whether the call with these requests may be made once more.
func orRepeat(err error, requests ...proto.Message) error {
	may := func(q proto.Message) bool { return q != nil && repeatable[q.ProtoReflect().Descriptor().FullName()] }
	if !errors.Is(err, ErrLost) || slices.ContainsFunc(requests, func(q proto.Message) bool { return !may(q) }) {
		return err
	}
	return lostError{err}
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
