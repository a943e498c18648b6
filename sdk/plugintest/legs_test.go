package plugintest

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// changed changes the results of legs of several steps.
type changed struct {
	grpc.ClientConnInterface
	change func(*pluginv1.LegResult)
}

func (c changed) NewStream(ctx context.Context, d *grpc.StreamDesc, method string, o ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := c.ClientConnInterface.NewStream(ctx, d, method, o...)
	return changedStream{s, c.change}, err
}

type changedStream struct {
	grpc.ClientStream
	change func(*pluginv1.LegResult)
}

func (s changedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if r, ok := m.(*pluginv1.OpenResponse); ok {
		for _, r := range r.GetResults() {
			if r.GetStepsDone() > 1 {
				s.change(r)
			}
		}
	}
	return err
}

// member maps and authenticates, and believes what it is told.
type member struct{}

func (member) MapRoles(_ context.Context, id sdk.Identity) ([]string, error) {
	return append([]string{}, id.Roles...), nil
}

func (member) Authenticate(_ context.Context, c sdk.Credential) (sdk.Principal, error) {
	return sdk.Principal{Realm: c.Realm, Name: c.Principal.Name, Roles: c.RequestedRoles, Enabled: true}, nil
}

// ticket takes a token twice.
type ticket struct{ seen sync.Map }

func (t *ticket) Identify(_ context.Context, r sdk.Request) (sdk.Identity, error) {
	n, _ := t.seen.LoadOrStore(r.Token, new(atomic.Int32))
	if n.(*atomic.Int32).Add(1) > 2 {
		return sdk.Identity{}, sdk.Deny("replayed", "the ticket was used")
	}
	return sdk.Identity{Claims: sdk.NewClaims([]byte(`{"badge":"7"}`))}, nil
}

func members() []sdk.Implementation {
	build := func(context.Context, sdk.Setup, struct{}) (member, error) { return member{}, nil }
	ticket := sdk.IdentityProviderType("ticket", func(context.Context, sdk.Setup, struct{}) (*ticket, error) { return &ticket{}, nil })
	return append(badges(nil), ticket, sdk.PrincipalRolesMapperType("member", build), sdk.AuthenticatorType("member", build))
}

// What a plugin makes of several stages in one leg is what it makes of them one by one.
func TestStagesInOneLeg(t *testing.T) {
	t.Parallel()
	cases := []Case{badgeCase(), {Kind: sdk.KindPrincipalRolesMapper, Type: "member"}, {Kind: sdk.KindAuthenticator, Type: "member", Setup: sdk.Setup{Realm: "r"}}}
	for name, tt := range map[string]struct {
		cases  []Case
		change func(*pluginv1.LegResult)
		want   string
	}{
		"taken twice":       {append([]Case{{Kind: sdk.KindIdentityProvider, Type: "ticket", Setup: sdk.Setup{Tenant: "t"}}}, cases...), func(*pluginv1.LegResult) {}, ""},
		"as it is":          {cases, func(*pluginv1.LegResult) {}, ""},
		"another principal": {cases, func(r *pluginv1.LegResult) { r.Added.Principal.Name = "" }, "principal-mapper badge, principal-roles-mapper member, authenticator member: one by one and in one leg they do not make the same: it differs in Principal.Name"},
		"a denial":          {cases, func(r *pluginv1.LegResult) { r.StepsDone, r.Denial = 2, &pluginv1.Denial{Reason: "no"} }, "one by one the answer is a yes, in one leg denied for no"},
		"a failure":         {cases, func(r *pluginv1.LegResult) { r.StepsDone, r.Failure = 2, &pluginv1.Failure{Message: "no credential"} }, "in one leg they fail: no credential"},
		"a noun less":       {cases, func(r *pluginv1.LegResult) { r.Added.MappedRoles = nil }, "in one leg they fail"},
		// The plugin makes the credential of what another one's mapper found.
		"behind a mapper":              {cases[1:], func(*pluginv1.LegResult) {}, ""},
		"behind a mapper, another one": {cases[1:], func(r *pluginv1.LegResult) { r.Added.Principal.Name = "" }, "principal-roles-mapper member, authenticator member: one by one and in one leg they do not make the same: it differs in Principal.Name"},
		// What is in between is elsewhere: there is no such leg.
		"not adjacent": {[]Case{cases[0], cases[2]}, nil, "-"},
		"one alone":    {cases[:1], nil, "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := InProcess(members()...)
			start := target.Start
			target.Start = func(ctx context.Context) (*Plugin, error) {
				p, err := start(ctx)
				if err == nil {
					p.Conn = changed{p.Conn, tt.change}
				}
				return p, err
			}
			s, err := newSuite(t.Context(), t.Context(), target)
			t.Cleanup(s.notes.stop)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range tt.cases {
				c.complete(rpc.Offer{})
				s.cases = append(s.cases, c)
			}
			if tt.want == "-" {
				if all := chains(s); len(all) > 0 {
					t.Errorf("there are %d chains", len(all))
				}
				return
			}
			if err := checkLegs(t.Context(), s, Case{}); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
