package protocol

import (
	"context"
	"errors"
	"testing"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// An error status is a fault of the plugin whatever its code, of which nothing counts but the text; a failure in it has its own code.
func TestFaults(t *testing.T) {
	t.Parallel()
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		_, err := authenticate(t, func(*bare, *pluginv1.Call) (*pluginv1.AuthenticateResponse, error) {
			return nil, status.Error(c, "the text")
		})
		switch {
		case err == nil, sdk.AsDenial(err) != nil, errors.Is(err, rpc.ErrLost), errors.Is(err, context.DeadlineExceeded) != (c == codes.DeadlineExceeded):
			t.Errorf("%v is %v", c, err)
		case c != codes.DeadlineExceeded && err.Error() != "the text":
			t.Errorf("%v says %v", c, err)
		}
		_, err = authenticate(t, func(*bare, *pluginv1.Call) (*pluginv1.AuthenticateResponse, error) {
			with, err := status.New(c, "another text").WithDetails(&pluginv1.Failure{Code: pluginv1.Failure_CODE_UNKNOWN_INSTANCE, Message: "the text"})
			return nil, errors.Join(err, with.Err())
		})
		if f := (*rpc.Failure)(nil); !errors.As(err, &f) || f.Code != rpc.CodeUnknownInstance || f.Message != "the text" {
			t.Errorf("%v with a failure is %v", c, err)
		}
	}
}

// A denial counts before a noun, and an answer without either is a fault.
func TestAnswers(t *testing.T) {
	t.Parallel()
	principal, denial := &pluginv1.Principal{Name: "alice"}, &pluginv1.Denial{Reason: "no"}
	for name, c := range map[string]struct {
		answer *pluginv1.AuthenticateResponse
		who    string
		denied bool
	}{
		"a noun":   {&pluginv1.AuthenticateResponse{Principal: principal}, "alice", false},
		"a denial": {&pluginv1.AuthenticateResponse{Denial: denial}, "", true},
		"both":     {&pluginv1.AuthenticateResponse{Principal: principal, Denial: denial}, "", true},
		"neither":  {&pluginv1.AuthenticateResponse{}, "", false},
		"not_mine": {&pluginv1.AuthenticateResponse{Denial: &pluginv1.Denial{Reason: "not_mine"}}, "", false}, // for verifiers only
	} {
		p, err := authenticate(t, func(*bare, *pluginv1.Call) (*pluginv1.AuthenticateResponse, error) {
			return proto.CloneOf(c.answer), nil
		})
		if (sdk.AsDenial(err) != nil) != c.denied || (p != nil) != (c.who != "") || p != nil && (p.Name != c.who || p.Realm != "r") || p == nil && err == nil {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}
