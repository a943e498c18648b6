package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
	"github.com/realmgate/realmgate/sdk/serve"
)

// liar is a token broker and an authenticator that answers what its tokens tell it to:
// <lie>~<id>~<version of the client secret>~<id of another realm>.
type liar struct{ setup sdk.Setup }

func newLiar(_ context.Context, su sdk.Setup, _ struct{}) (*liar, error) { return &liar{su}, nil }

// Issue issues nothing.
func (*liar) Issue(context.Context, sdk.Grant) (sdk.Token, error) {
	return sdk.Token{}, errors.New("this broker issues nothing")
}

// Verify says who the token tells it to say.
func (l *liar) Verify(_ context.Context, r sdk.Request) (sdk.Credential, error) {
	part := strings.Split(r.Token, "~")
	if len(part) != 4 {
		return sdk.Credential{}, sdk.NotMine()
	}
	c := sdk.Credential{
		Realm: l.setup.Realm, Issuer: l.setup.Issuer, Audience: l.setup.Audience, Principal: sdk.PrincipalRef{ID: part[1]},
		RequestedRoles: []string{l.setup.RolePrefix + "ALL"}, TokenID: "of " + r.Token, SecretVersion: part[2], Expires: time.Now().Add(time.Hour),
	}
	switch part[0] {
	case "realm":
		c.Realm = "a"
	case "stranger":
		c.Principal.ID = part[3]
	case "both":
		c.Realm, c.Principal.ID = "a", part[3]
	case "role":
		c.RequestedRoles = []string{l.setup.RolePrefix + "service_admin"}
	case "empty":
		return sdk.Credential{}, nil
	case "nobody":
		c.Principal = sdk.PrincipalRef{}
	case "large":
		c.RequestedRoles = []string{strings.Repeat("x", 2<<20)}
	case "many":
		c.RequestedRoles = strings.Split(strings.Repeat(l.setup.RolePrefix+"x ", 50000), " ")
	case "panic":
		panic("a panic")
	case "slow":
		time.Sleep(3 * time.Second)
	}
	return c, nil
}

// Authenticate gives a principal as the token, which is in the token's id, tells it to.
func (l *liar) Authenticate(ctx context.Context, c sdk.Credential) (sdk.Principal, error) {
	p, err := sdk.FindPrincipal(ctx, c.Principal)
	if err != nil {
		return p, err
	}
	part := strings.Split(strings.TrimPrefix(c.TokenID, "of "), "~")
	switch part[0] {
	case "other-realm":
		p.Realm = "a"
	case "other-principal":
		p.ID, p.Name = part[3], "ann"
	case "renamed":
		p.Name = "root"
	case "more-roles":
		p.Roles = append(p.Roles, "service_admin")
	}
	return p, nil
}

// lies are what a liar can be told to; none of them may ever lead to a yes.
var lies = []string{
	"realm", "stranger", "both", "role", "empty", "nobody", "large", "many", "panic", "slow", "other-realm", "other-principal", "renamed", "more-roles",
}

// hostile runs the plugin, whose bytes are not to be trusted either.
func hostile() {
	server := &rpc.Server{Name: "hostile", Version: "1", Implementations: []sdk.Implementation{
		sdk.TokenBrokerType("liar", newLiar), sdk.AuthenticatorType("liar", newLiar, sdk.Wants(sdk.WantPrincipals)),
	}}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: serve.Handshake, Logger: hclog.NewNullLogger(), Plugins: plugin.PluginSet{serve.PluginName: wire{server: server}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(rpc.MaxMessage), grpc.MaxSendMsgSize(64<<20), grpc.StreamInterceptor(tamper))...)
		},
	})
}

type wire struct {
	plugin.NetRPCUnsupportedPlugin
	server *rpc.Server
}

// GRPCServer is plugin.GRPCPlugin's.
func (w wire) GRPCServer(_ *plugin.GRPCBroker, g *grpc.Server) error { return w.server.Register(g) }

// GRPCClient is plugin.GRPCPlugin's.
func (wire) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

// tampered is a session on which some answers are not those that were given.
type tampered struct {
	grpc.ServerStream
	mu    sync.Mutex
	realm map[uint64]string              // of legs
	last  map[string]*pluginv1.LegResult // of those that say yes, by realm
}

func tamper(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return next(srv, &tampered{ServerStream: s, realm: map[uint64]string{}, last: map[string]*pluginv1.LegResult{}})
}

// RecvMsg notes which leg is of which realm.
func (t *tampered) RecvMsg(m any) error {
	err := t.ServerStream.RecvMsg(m)
	if q, ok := m.(*pluginv1.OpenRequest); ok && err == nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, leg := range q.GetLegs() {
			t.realm[leg.GetId()] = leg.GetRealm()
		}
	}
	return err
}

// How many batches of answers there are to one in which an answer is not the one that was given, and to one that ends the
// session.
const (
	rarely = 10
	never  = 199 // so to speak
)

// SendMsg sends a batch, or something in its place.
func (t *tampered) SendMsg(m any) error {
	batch, ok := m.(*pluginv1.OpenResponse)
	if !ok {
		return t.ServerStream.SendMsg(m)
	}
	raw, err := proto.Marshal(batch)
	if err != nil {
		return err
	}
	plain := &pluginv1.OpenResponse{} // the sdk sends items that are encoded already
	if err := proto.Unmarshal(raw, plain); err != nil {
		return err
	}
	if len(plain.GetResults()) == 0 {
		return t.ServerStream.SendMsg(plain)
	}
	switch n := sent.Add(1); {
	case n%never == 0:
		return t.ServerStream.SendMsg(junk(raw, n/never))
	case n%rarely == 0:
		t.mischief(plain, n/rarely)
	default:
		t.remember(plain)
	}
	return t.ServerStream.SendMsg(plain)
}

// sent counts the batches of answers of the process.
var sent atomic.Int64

func (t *tampered) remember(batch *pluginv1.OpenResponse) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range batch.GetResults() {
		if r.GetAdded().GetPrincipal() != nil {
			t.last[t.realm[r.GetId()]] = r
		}
		delete(t.realm, r.GetId())
	}
}

// junk gives a batch that is none, in one of three ways.
func junk(raw []byte, way int64) *pluginv1.OpenResponse {
	out := &pluginv1.OpenResponse{}
	switch way % 3 {
	case 0: // cut off
		raw = raw[:len(raw)-1]
	case 1: // no proto at all
		raw = []byte("\x0a\xff\xff\xff\xff\x0f garbage")
	case 2: // larger than the host takes
		raw = append([]byte{0x7a, 0x80, 0x80, 0x80, 0x03}, make([]byte, 6<<20)...)
	}
	out.ProtoReflect().SetUnknown(raw)
	return out
}

// mischief changes the first answer of a batch, in one of six ways.
func (t *tampered) mischief(batch *pluginv1.OpenResponse, way int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := batch.GetResults()[0]
	switch way % 6 {
	case 0: // what another instance answered, for another realm
		for realm, other := range t.last {
			if realm != t.realm[r.GetId()] {
				swapped := proto.CloneOf(other)
				swapped.Id = r.GetId()
				batch.Results[0] = swapped
			}
		}
	case 1: // nothing in it
		batch.Results[0] = &pluginv1.LegResult{Id: r.GetId()}
	case 2: // all steps have succeeded, but made nothing
		batch.Results[0] = &pluginv1.LegResult{Id: r.GetId(), StepsDone: 2}
	case 3: // more steps than there are
		r.StepsDone = 1 << 31
	case 4: // twice, and for a leg that there is not
		batch.Results = append(batch.Results, r, &pluginv1.LegResult{Id: 1 << 60, Added: r.GetAdded(), StepsDone: r.GetStepsDone()})
	case 5: // a principal without a credential
		r.Added = &pluginv1.State{Principal: r.GetAdded().GetPrincipal()}
	}
}

// A plugin answers garbage: what others serve goes on as if it were not there, and of what it serves itself every yes is one
// that its realm's directory bears out.
func TestGarbage(t *testing.T) {
	t.Parallel()
	g := newGate(t, short, func(g *gate) string {
		var hcl strings.Builder
		_, _ = fmt.Fprintf(&hcl, `
plugin "hostile" {
  path = %q
  allow {
    principals = true
  }
  limits {
    memory = "unlimited" # for the race detector
  }
}
`, g.install(hostileName, self(t)))
		for _, realm := range []string{"h1", "h2"} {
			_, _ = fmt.Fprintf(&hcl, `
realm %q {
  authentication {
    token_broker {
      type = "liar"
    }
    authenticator {
      type = "liar"
    }
  }
}
`, realm)
		}
		return hcl.String()
	})
	g.Start()
	inside := g.inside()
	ann := g.principal("a", "ann").ID
	var honest, all []question
	for _, realm := range []string{"h1", "h2"} {
		name := "of-" + realm
		g.Operate("role", "create", "--realm", realm, realm)
		g.Operate("principal", "create", "--realm", realm, "--role", realm, name)
		p := g.principal(realm, name)
		said := "~" + p.ID + "~" + p.SecretVersions[0] + "~" + ann
		yes := allows(realm, name, realm)
		honest = append(honest, question{realm, "honest" + said, yes})
		bearable := func(r reply, n int64) bool { return r.status != http.StatusOK && r.who == "" || yes(r, n) }
		all = append(all, question{realm, "honest" + said, bearable})
		for _, lie := range lies {
			all = append(all, question{realm, lie + said, func(r reply, _ int64) bool {
				return r.status != http.StatusOK && r.who == "" && r.roles == ""
			}})
		}
	}
	g.served(honest, 0)
	before := g.settled(inside, 0)
	others, l := g.begin(inside, 0), g.begin(all, 0)
	l.answers(300)
	for _, said := range []string{ // so that each kind was tried
		"invalid wire-format data", "message larger than max", "does not say why", "has no credential", "speaks of 2147483648 steps",
		"a principal of another realm", "which the directory does not", "is over the bound", "a panic", "no answer in time",
	} {
		await(t, "the daemon's log has "+said, func() bool { return strings.Contains(g.Log.String(), said) })
	}
	l.end()
	others.uninterrupted()
	if l.unavailable.Load() == 0 {
		t.Error("nothing was unavailable: nothing was garbage")
	}
	g.served(honest, 0)
	g.restored(before, inside, 0)
}
