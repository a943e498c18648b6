package plugintest

import (
	"context"
	"strings"
	"testing"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"
)

// twoFaced answers otherwise on the service of a mapper than on the session.
type twoFaced struct {
	grpc.ClientConnInterface
	answer pluginv1.MapPrincipalResponse
}

func (c *twoFaced) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	out, ok := reply.(*pluginv1.MapPrincipalResponse)
	if !ok {
		return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	}
	out.Principal, out.Denial = c.answer.GetPrincipal(), c.answer.GetDenial()
	return nil
}

// A plugin that is right on the session is not right yet.
func TestBadOnTheUnaryServices(t *testing.T) {
	t.Parallel()
	for want, conn := range map[string]*twoFaced{
		"":               nil,
		"call: mapped":   {answer: pluginv1.MapPrincipalResponse{Principal: &pluginv1.PrincipalRef{Name: "8"}}},
		"call: denied":   {answer: pluginv1.MapPrincipalResponse{Denial: &pluginv1.Denial{Reason: "no", Detail: "no"}}},
		"call: the plug": {},
	} {
		target := InProcess(badges(nil)...)
		start := target.Start
		target.Start = func(ctx context.Context) (*Plugin, error) {
			p, err := start(ctx)
			if err == nil && conn != nil {
				conn.ClientConnInterface = p.Conn
				p.Conn = conn
			}
			return p, err
		}
		s, err := newSuite(t.Context(), t.Context(), target)
		t.Cleanup(s.notes.stop)
		if err != nil {
			t.Fatal(err)
		}
		if !takesLegs(s, badgeCase()) || takesLegs(s, vaultCase()) {
			t.Error("stages are what is called on the session")
		}
		if err := checkCall(t.Context(), s, badgeCase()); err != nil {
			t.Errorf("on the session: %v", err)
		}
		if err := checkUnary(t.Context(), s, badgeCase()); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
