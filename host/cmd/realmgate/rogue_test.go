package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin"
	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/grpc"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
	"github.com/realmgate/realmgate/sdk/serve"
)

// rogueMode says in which way the rogue does not keep to the contract; empty: it does.
var rogueMode = os.Getenv("ROGUE")

// roguePlugin serves parts that misbehave, and misbehaves as a process.
func roguePlugin() {
	switch rogueMode {
	case "babbles before the handshake":
		fmt.Println("welcome")
	case "ends at once":
		fmt.Fprintln(os.Stderr, "panic: no licence")
		os.Exit(4)
	}
	var wants []sdk.Option
	if rogueMode != "does not say what it wants" {
		wants = append(wants, sdk.Wants(sdk.WantPrincipals))
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server := &rpc.Server{Name: "rogue", Version: "1", Logger: logger, Implementations: []sdk.Implementation{
		sdk.PrincipalMapperType("rogue", func(_ context.Context, _ sdk.Setup, s rogueSettings) (*rogueMapper, error) {
			if rogueMode == "panics when it is made" {
				panic("no licence")
			}
			return &rogueMapper{settings: s}, nil
		}),
		sdk.AuthenticatorType("rogue", func(_ context.Context, su sdk.Setup, _ struct{}) (*rogueAuthenticator, error) {
			return &rogueAuthenticator{su}, nil
		}, wants...),
		sdk.TokenBrokerType("rogue", func(_ context.Context, su sdk.Setup, b rogueBroker) (*rogueBroker, error) {
			b.setup = su
			return &b, nil
		}),
		sdk.IdentityProviderType("rogue", func(context.Context, sdk.Setup, struct{}) (rogueProvider, error) { return rogueProvider{}, nil }),
		sdk.ActiveRolesProviderType("rogue", func(context.Context, sdk.Setup, struct{}) (rogueRoles, error) { return rogueRoles{}, nil }),
	}}
	if kind := rogueKind(); kind != 0 {
		server.Implementations = slices.DeleteFunc(server.Implementations, func(i sdk.Implementation) bool { return i.Kind() != kind })
	}
	server.UnaryOnly = rogueMode == "speaks no session legs"
	if rogueMode == "has no version" {
		server.Version = ""
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: serve.Handshake, Plugins: plugin.PluginSet{serve.PluginName: rogueServer{server: server}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			most := rpc.MaxMessage
			if rogueMode == "takes small messages only" {
				most = 2 << 20
			}
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(most), grpc.UnaryInterceptor(rogueCall))...)
		},
	})
	os.Exit(0)
}

// rogueKind says which part shows what the rogue does wrong: it offers no other. None: all do.
func rogueKind() sdk.Kind {
	switch rogueMode {
	case "", "speaks no session legs":
		return 0
	case "remembers across realms", "answers for another realm", "does not say what it wants":
		return sdk.KindAuthenticator
	case "issues for another realm", "issues long lives", "believes any signature", "believes other realms", "logs its secret", "tells its secret":
		return sdk.KindTokenBroker
	case "believes any token":
		return sdk.KindIdentityProvider
	case "activates what is asked for":
		return sdk.KindActiveRolesProvider
	}
	return sdk.KindPrincipalMapper
}

type rogueServer struct {
	plugin.NetRPCUnsupportedPlugin
	server *rpc.Server
}

func (p rogueServer) GRPCServer(_ *plugin.GRPCBroker, g *grpc.Server) error {
	return p.server.Register(g)
}

func (rogueServer) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("this is the plugin's side")
}

// rogueCall does what the SDK would not.
func rogueCall(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	switch q := req.(type) {
	case *pluginv1.ConfigureRequest:
		for _, i := range q.GetInstances() {
			if len(i.GetSettings()) > 100<<10 && rogueMode == "ends on large settings" {
				os.Exit(5)
			}
			if rogueMode == "takes unknown settings" {
				i.Settings = known(i.GetSettings())
			}
		}
	case *pluginv1.ReleaseRequest:
		if rogueMode == "releases nothing" {
			return &pluginv1.ReleaseResponse{}, nil
		}
	case *pluginv1.DescribeRequest:
		if rogueMode == "does not describe itself" {
			time.Sleep(time.Hour)
		}
		resp, err := next(ctx, req)
		if d, ok := resp.(*pluginv1.DescribeResponse); ok && rogueMode == "has another schema" {
			for _, i := range d.GetManifest().GetImplementations() {
				i.SettingsSchema = bytes.ReplaceAll(i.GetSettingsSchema(), []byte(`"claim"`), []byte(`"claims"`))
			}
		}
		return resp, err
	}
	if strings.HasSuffix(info.FullMethod, "GRPCController/Shutdown") && rogueMode == "does not end" {
		return next(context.WithoutCancel(ctx), nil) // which panics, so that nothing is shut down
	}
	return next(ctx, req)
}

// known drops the keys that the rogue does not know.
func known(settings []byte) []byte {
	var m map[string]any
	if json.Unmarshal(settings, &m) != nil {
		return settings
	}
	for k := range m {
		if !slices.Contains([]string{"claim", "secret"}, k) {
			delete(m, k)
		}
	}
	out, _ := json.Marshal(m) // it was JSON
	return out
}

type rogueSettings struct {
	Claim string `json:"claim" doc:"claim that is the name"`
}

type rogueMapper struct {
	settings rogueSettings
	mu       sync.Mutex
	last     string
}

func (m *rogueMapper) MapPrincipal(ctx context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	name, ok := id.Claims.String(m.settings.Claim)
	switch rogueMode {
	case "mixes identities up":
		m.mu.Lock()
		m.last = name
		m.mu.Unlock()
		time.Sleep(time.Millisecond)
		m.mu.Lock()
		defer m.mu.Unlock()
		name = m.last
	case "does not hear":
		select {
		case <-ctx.Done():
			time.Sleep(time.Hour)
		case <-time.After(10 * time.Millisecond):
		}
	case "never answers":
		time.Sleep(time.Hour)
	case "prints":
		fmt.Println("mapped", name)
	case "ends on odd input":
		if len(id.Subject) > 60000 {
			os.Exit(5)
		}
	case "panics on odd input":
		_ = id.Claims.Map()[m.settings.Claim].(string)
	case "maps to nobody":
		return sdk.PrincipalRef{}, nil
	}
	if !ok {
		return sdk.PrincipalRef{}, sdk.Deny("claim_missing", "there is no claim %s", m.settings.Claim)
	}
	return sdk.PrincipalRef{Name: name}, nil
}

// rogueAuthenticator may know of a principal in one realm what it heard in another one.
type rogueAuthenticator struct{ setup sdk.Setup }

var rogueCache sync.Map

func (a *rogueAuthenticator) Authenticate(ctx context.Context, c sdk.Credential) (sdk.Principal, error) {
	if p, ok := rogueCache.Load(c.Principal.ID); ok && rogueMode == "remembers across realms" {
		out, _ := p.(sdk.Principal)
		out.Realm = ""
		return out, nil
	}
	p, err := sdk.FindPrincipal(ctx, c.Principal)
	if err != nil {
		return p, err
	}
	rogueCache.Store(p.ID, p)
	if p.Realm = a.setup.Realm; rogueMode == "answers for another realm" {
		p.Realm = "other"
	}
	return p, nil
}

// rogueBroker signs with a secret, unless it does not.
type rogueBroker struct {
	Secret sdk.SecretRef `json:"secret" doc:"what tokens are signed with"`
	setup  sdk.Setup
}

func (b *rogueBroker) sign(ctx context.Context, payload string) (string, error) {
	key, err := b.Secret.Value(ctx)
	if err != nil {
		return "", err
	}
	switch rogueMode {
	case "logs its secret":
		sdk.Logger(ctx).DebugContext(ctx, "signing", "with", string(key.Reveal()))
	case "tells its secret":
		return "", fmt.Errorf("cannot sign with %s", key.Reveal())
	}
	mac := hmac.New(sha256.New, key.Reveal())
	mac.Write([]byte(payload))
	return payload + "." + hex.EncodeToString(mac.Sum(nil)), nil
}

func (b *rogueBroker) Issue(ctx context.Context, g sdk.Grant) (sdk.Token, error) {
	expires := time.Now().Add(g.Lifetime)
	if rogueMode == "issues long lives" {
		expires = expires.Add(24 * time.Hour)
	}
	c := sdk.Credential{
		Realm: g.Realm, Principal: g.Principal, RequestedRoles: g.Scope, Issuer: g.Issuer, Audience: g.Audience, TokenID: g.TokenID, ClientID: g.ClientID,
		SecretVersion: g.SecretVersion, Expires: expires,
	}
	if rogueMode == "issues for another realm" {
		c.Realm = "other"
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return sdk.Token{}, err
	}
	value, err := b.sign(ctx, hex.EncodeToString(raw))
	return sdk.Token{Value: value, ID: g.TokenID, Type: "Bearer", Expires: expires}, err
}

func (b *rogueBroker) Verify(ctx context.Context, r sdk.Request) (sdk.Credential, error) {
	payload, _, ok := strings.Cut(r.Token, ".")
	var c sdk.Credential
	raw, err := hex.DecodeString(payload)
	if !ok || err != nil || json.Unmarshal(raw, &c) != nil {
		return sdk.Credential{}, sdk.NotMine()
	}
	want, err := b.sign(ctx, payload)
	switch {
	case err != nil:
		return sdk.Credential{}, err
	case want != r.Token && rogueMode != "believes any signature":
		return sdk.Credential{}, sdk.Deny("signature_invalid", "the token was not signed here")
	case c.Realm != b.setup.Realm && !slices.Contains([]string{"believes other realms", "issues for another realm"}, rogueMode):
		return sdk.Credential{}, sdk.Deny("realm_mismatch", "the token is of another realm")
	}
	return c, nil
}

type rogueProvider struct{}

func (rogueProvider) Identify(context.Context, sdk.Request) (sdk.Identity, error) {
	if rogueMode == "believes any token" {
		return sdk.Identity{Subject: "root"}, nil
	}
	return sdk.Identity{}, sdk.NotMine()
}

type rogueRoles struct{}

func (rogueRoles) ActiveRoles(_ context.Context, p sdk.Principal, requested []string) ([]string, error) {
	if rogueMode == "activates what is asked for" {
		return requested, nil
	}
	return p.Roles, nil
}
