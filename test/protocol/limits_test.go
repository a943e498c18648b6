package protocol

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// bare is a plugin without the SDK: what it says is up to each test.
type bare struct {
	pluginv1.UnimplementedPluginServer
	pluginv1.UnimplementedSessionServer
	pluginv1.UnimplementedAuthenticatorServer

	manifest     *pluginv1.Manifest
	configure    *pluginv1.InstanceResult
	authenticate func(*pluginv1.Call) (*pluginv1.AuthenticateResponse, error)

	session grpc.BidiStreamingServer[pluginv1.OpenRequest, pluginv1.OpenResponse]
	opened  chan struct{}
	replies chan *pluginv1.HostReply
}

func (b *bare) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	return &pluginv1.DescribeResponse{Manifest: b.manifest}, nil
}

func (b *bare) Configure(context.Context, *pluginv1.ConfigureRequest) (*pluginv1.ConfigureResponse, error) {
	return &pluginv1.ConfigureResponse{Results: []*pluginv1.InstanceResult{b.configure}}, nil
}

func (b *bare) Authenticate(_ context.Context, r *pluginv1.AuthenticateRequest) (*pluginv1.AuthenticateResponse, error) {
	return b.authenticate(r.GetCall())
}

func (b *bare) Open(stream grpc.BidiStreamingServer[pluginv1.OpenRequest, pluginv1.OpenResponse]) error {
	b.session = stream
	close(b.opened)
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, r := range m.GetReplies() {
			b.replies <- r
		}
	}
}

// ask asks the host something on behalf of a call.
func (b *bare) ask(call *pluginv1.Call, question *pluginv1.HostCall) (*pluginv1.HostReply, error) {
	question.Id, question.CallId, question.InstanceId = 1, call.GetCallId(), call.GetInstanceId()
	<-b.opened
	if err := b.session.Send(&pluginv1.OpenResponse{Calls: []*pluginv1.HostCall{question}}); err != nil {
		return nil, err
	}
	return <-b.replies, nil
}

// host knows whoever it is asked about.
type host struct{}

func (host) FindPrincipal(_ context.Context, _ rpc.Caller, ref sdk.PrincipalRef) (sdk.Principal, error) {
	return sdk.Principal{Name: ref.Name, ID: ref.ID}, nil
}

func (host) FindAccessKey(_ context.Context, _ rpc.Caller, id string) (sdk.AccessKey, error) {
	return sdk.AccessKey{ID: id}, nil
}

func (host) ResolveSecret(context.Context, rpc.Caller, sdk.SecretRef) (sdk.Secret, error) {
	return sdk.Secret{}, errors.New("there are no secrets")
}

func (host) Epoch(string) uint64 { return 0 }

// manifest is one that is taken.
func manifest() *pluginv1.Manifest {
	return &pluginv1.Manifest{Name: "bare", Version: "1", Session: pluginv1.SessionMode_SESSION_MODE_HOST_CALLS, Implementations: []*pluginv1.Implementation{{Kind: pluginv1.Kind_KIND_AUTHENTICATOR, Type: "bare"}}}
}

// serve gives the host's end of the plugin, of which nothing is known yet.
func serve(t *testing.T, b *bare) *rpc.Process {
	t.Helper()
	b.opened, b.replies = make(chan struct{}), make(chan *pluginv1.HostReply, 1)
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(rpc.MaxMessage))
	pluginv1.RegisterPluginServer(server, b)
	pluginv1.RegisterSessionServer(server, b)
	pluginv1.RegisterAuthenticatorServer(server, b)
	go func() { _ = server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:bare", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); server.Stop() })
	return rpc.NewProcess(conn, host{})
}

// authenticate has the plugin authenticate somebody, with the session open, and gives the principal or the error.
func authenticate(t *testing.T, answer func(*bare, *pluginv1.Call) (*pluginv1.AuthenticateResponse, error)) (*sdk.Principal, error) {
	t.Helper()
	b := &bare{manifest: manifest()}
	b.authenticate = func(c *pluginv1.Call) (*pluginv1.AuthenticateResponse, error) { return answer(b, c) }
	p := serve(t, b)
	if _, err := p.Describe(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	if err := p.OpenSession(t.Context()); err != nil {
		t.Fatal(err)
	}
	st := &sdk.State{Request: &sdk.Request{Realm: "r"}, Credential: &sdk.Credential{Realm: "r"}}
	err := p.Run(t.Context(), "r", []rpc.Step{{Kind: sdk.KindAuthenticator, Instance: 1}}, st)
	return st.Principal, err
}

// padded gives an answer of so many bytes.
func padded(size int) *pluginv1.AuthenticateResponse {
	m := &pluginv1.AuthenticateResponse{Principal: &pluginv1.Principal{Name: strings.Repeat("n", size)}}
	for proto.Size(m) > size {
		m.Principal.Name = m.GetPrincipal().GetName()[proto.Size(m)-size:]
	}
	return m
}

// denied asks the host a question, and gives what it denied.
func denied(t *testing.T, question *pluginv1.HostCall) string {
	t.Helper()
	var reply *pluginv1.HostReply
	_, err := authenticate(t, func(b *bare, c *pluginv1.Call) (a *pluginv1.AuthenticateResponse, err error) {
		reply, err = b.ask(c, question)
		return &pluginv1.AuthenticateResponse{Principal: &pluginv1.Principal{}}, err
	})
	if err != nil || reply.GetFailure() != nil {
		t.Fatalf("%v, %v", err, reply)
	}
	return reply.GetDenial().GetReason()
}

// Each limit of the page holds: what has just its size is taken, and what has one more is not.
func TestLimits(t *testing.T) {
	t.Parallel()
	described := func(t *testing.T, change func(*pluginv1.Manifest)) bool {
		b := &bare{manifest: manifest()}
		change(b.manifest)
		_, err := serve(t, b).Describe(t.Context(), "test")
		return err == nil
	}
	// Each says whether n is within the limit.
	tries := map[string][]func(t *testing.T, n int) bool{
		"a settings schema": {func(t *testing.T, n int) bool {
			return described(t, func(m *pluginv1.Manifest) {
				m.Implementations[0].SettingsSchema = []byte(`{"x":"` + strings.Repeat("y", n-len(`{"x":""}`)) + `"}`)
			})
		}},
		"implementations of a manifest": {func(t *testing.T, n int) bool {
			return described(t, func(m *pluginv1.Manifest) {
				for i := range n - 1 {
					m.Implementations = append(m.Implementations, &pluginv1.Implementation{Kind: pluginv1.Kind_KIND_AUTHENTICATOR, Type: fmt.Sprint(i)})
				}
			})
		}},
		"the name of the plugin, a type, a reason of a denial": {
			func(t *testing.T, n int) bool {
				return described(t, func(m *pluginv1.Manifest) { m.Name = strings.Repeat("n", n) })
			},
			func(t *testing.T, n int) bool {
				return described(t, func(m *pluginv1.Manifest) { m.Implementations[0].Type = strings.Repeat("n", n) })
			},
			func(t *testing.T, n int) bool {
				_, err := authenticate(t, func(*bare, *pluginv1.Call) (*pluginv1.AuthenticateResponse, error) {
					return &pluginv1.AuthenticateResponse{Denial: &pluginv1.Denial{Reason: strings.Repeat("r", n)}}, nil
				})
				d := sdk.AsDenial(err)
				return d != nil && d.Reason != "unspecified"
			},
		},
		"a text of a failure, denial or diagnostic": {
			func(t *testing.T, n int) bool {
				text := strings.Repeat("t", n)
				_, err := authenticate(t, func(*bare, *pluginv1.Call) (*pluginv1.AuthenticateResponse, error) {
					return nil, status.Error(codes.Internal, text)
				})
				return err != nil && err.Error() == text
			},
			func(t *testing.T, n int) bool {
				text := strings.Repeat("t", n)
				_, err := authenticate(t, func(*bare, *pluginv1.Call) (*pluginv1.AuthenticateResponse, error) {
					return &pluginv1.AuthenticateResponse{Denial: &pluginv1.Denial{Reason: "no", Detail: text}}, nil
				})
				return sdk.AsDenial(err) != nil && sdk.AsDenial(err).Detail == text
			},
			func(t *testing.T, n int) bool {
				ds := diagnostics(t, 1, strings.Repeat("t", n))
				return len(ds[0].Summary) == n && len(ds[1].Summary) == n
			},
		},
		"errors of one instance, and warnings": {func(t *testing.T, n int) bool { return len(diagnostics(t, n, "t")) == 2*n }},
		"an item: a request, an answer, a leg, a result, a question, a reply": {
			func(t *testing.T, n int) bool {
				p, err := authenticate(t, func(*bare, *pluginv1.Call) (*pluginv1.AuthenticateResponse, error) { return padded(n), nil })
				if f := (*rpc.Failure)(nil); err != nil && (!errors.As(err, &f) || f.Code != rpc.CodeTooLarge) {
					t.Errorf("too much is %v", err)
				}
				return p != nil
			},
		},
		"a message that each side must accept": {func(t *testing.T, n int) bool {
			_, err := authenticate(t, func(*bare, *pluginv1.Call) (*pluginv1.AuthenticateResponse, error) { return padded(n), nil })
			f := (*rpc.Failure)(nil) // the item is too large in any case; the host says so of what reached it
			return errors.As(err, &f) && f.Code == rpc.CodeTooLarge
		}},
		"an id or name in `find_principal`": {
			func(t *testing.T, n int) bool { return known(t, &pluginv1.PrincipalRef{Name: strings.Repeat("n", n)}) },
			func(t *testing.T, n int) bool { return known(t, &pluginv1.PrincipalRef{Id: strings.Repeat("n", n)}) },
		},
		"the id in `find_access_key`": {func(t *testing.T, n int) bool {
			return denied(t, &pluginv1.HostCall{Call: &pluginv1.HostCall_FindAccessKey{FindAccessKey: &pluginv1.FindAccessKey{Id: strings.Repeat("n", n)}}}) != "access_key_unknown"
		}},
	}
	page := limits(t)
	for what, n := range page {
		if len(tries[what]) == 0 {
			t.Errorf("nothing tries the limit of %s", what)
		}
		for _, within := range tries[what] {
			if !within(t, n) {
				t.Errorf("%s: %d are not taken", what, n)
			}
			if within(t, n+1) {
				t.Errorf("%s: %d are taken", what, n+1)
			}
		}
	}
	if len(tries) != len(page) {
		t.Errorf("the page has %d limits, and %d are tried", len(page), len(tries))
	}
}

func known(t *testing.T, ref *pluginv1.PrincipalRef) bool {
	t.Helper()
	return denied(t, &pluginv1.HostCall{Call: &pluginv1.HostCall_FindPrincipal{FindPrincipal: &pluginv1.FindPrincipal{Ref: ref}}}) != "principal_unknown"
}

// diagnostics has the plugin say n errors and n warnings, and gives what the host has of them.
func diagnostics(t *testing.T, n int, text string) []rpc.Diagnostic {
	t.Helper()
	result := &pluginv1.InstanceResult{InstanceId: 1}
	for range n {
		for _, s := range []pluginv1.Diagnostic_Severity{pluginv1.Diagnostic_SEVERITY_WARNING, pluginv1.Diagnostic_SEVERITY_ERROR} {
			result.Diagnostics = append(result.Diagnostics, &pluginv1.Diagnostic{Severity: s, Summary: text})
		}
	}
	ds, err := serve(t, &bare{manifest: manifest(), configure: result}).Configure(t.Context(), []rpc.Instance{{ID: 1, Kind: sdk.KindAuthenticator, Type: "bare", Settings: []byte("{}")}})
	if err != nil {
		t.Fatal(err)
	}
	return ds
}
