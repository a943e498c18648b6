package rpc

import (
	"context"
	"errors"
	"strings"
	"testing"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/realmgate/realmgate/sdk"
)

// rawMapper is a roles mapper of another make, reached over its unary service.
type rawMapper struct {
	pluginv1.UnimplementedPrincipalRolesMapperServer
	answer func() (*pluginv1.MapRolesResponse, error)
}

func (m *rawMapper) MapRoles(context.Context, *pluginv1.MapRolesRequest) (*pluginv1.MapRolesResponse, error) {
	return m.answer()
}

func TestCodesComeFromFailuresOnly(t *testing.T) {
	t.Parallel()
	detailed, err := status.New(codes.Unknown, "x").WithDetails(&pluginv1.Failure{Code: pluginv1.Failure_CODE_UNSUPPORTED, Message: "what?"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		err  error
		code Code
		text string
	}{
		"not found":   {status.Error(codes.NotFound, "no such badge"), CodeError, "no such badge"},
		"unavailable": {status.Error(codes.Unavailable, "the badge server is down"), CodeError, "the badge server is down"},
		"canceled":    {status.Error(codes.Canceled, "gave up"), CodeError, "gave up"},
		"exhausted":   {status.Error(codes.ResourceExhausted, "too many badges"), CodeError, "too many badges"},
		"deadline":    {status.Error(codes.DeadlineExceeded, "late"), CodeDeadline, "no answer in time"},
		"a failure":   {detailed.Err(), CodeUnsupported, "what?"},
		"too large":   {nil, CodeTooLarge, "over the bound"},
	} {
		m := &rawMapper{answer: func() (*pluginv1.MapRolesResponse, error) {
			if c.err != nil {
				return nil, c.err
			}
			return &pluginv1.MapRolesResponse{Roles: &pluginv1.Roles{Names: []string{strings.Repeat("x", maxItem)}}}, nil
		}}
		cc, g := dial(t, func(g *grpc.Server) { pluginv1.RegisterPrincipalRolesMapperServer(g, m) })
		p := NewProcess(cc, &fakeHost{})
		run := func() error {
			return p.Run(t.Context(), "r", []Step{{sdk.KindPrincipalRolesMapper, 1}}, &sdk.State{Identity: &sdk.Identity{}})
		}
		var f *Failure
		if err := run(); !errors.As(err, &f) || errors.Is(err, ErrLost) || f.Code != c.code || !strings.Contains(f.Message, c.text) {
			t.Errorf("%s: %v, want %d %s", name, err, c.code, c.text)
		}
		g.Stop()
		if err := run(); !errors.Is(err, ErrLost) {
			t.Errorf("without a process: %v", err)
		}
	}
}
