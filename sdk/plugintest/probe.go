package plugintest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// finding is an answer that no honest part gives, where the error of a call would be the part's own.
type finding struct{ error }

func found(format string, args ...any) error { return &finding{fmt.Errorf(format, args...)} }

// complete gives a case what nobody said: a scope, and, where there is no call, one of the suite's own with what it needs.
func (c *Case) complete(o rpc.Offer) {
	c.scheme = "bearer"
	if len(o.Schemes) > 0 {
		c.scheme = o.Schemes[0]
	}
	c.scope()
	if c.Call == nil {
		c.tolerant, c.Call = true, probes[c.Kind]
	} else if !c.written {
		return
	}
	c.Secrets = maps.Clone(c.Secrets)
	for _, ref := range sdk.SecretRefsIn([]byte(c.settings())) {
		if _, given := c.Secrets[ref.String()]; given {
			continue
		}
		if c.Secrets == nil {
			c.Secrets = map[string]string{}
		}
		c.Secrets[ref.String()], c.standIns = rand.Text()+rand.Text(), true
	}
	if c.tolerant && c.Kind == sdk.KindAuthenticator && c.Principals == nil {
		c.Principals = []sdk.Principal{{Realm: c.Setup.Realm, ID: "plugintest-1", Name: "plugintest-alice", Enabled: true, Roles: []string{"plugintest-a"}}}
	}
}

func (c *Case) scope() {
	const realm = "plugintest"
	switch c.Kind {
	case sdk.KindTokenBroker, sdk.KindAuthenticator:
		if c.Setup.Realm == "" {
			c.Setup.Realm = realm
		}
		if c.Setup.Issuer == "" {
			c.Setup.Issuer = "https://auth.invalid/realms/" + c.Setup.Realm
		}
		if len(c.Setup.Audience) == 0 {
			c.Setup.Audience = []string{c.Setup.Issuer}
		}
	case sdk.KindIdentityProvider, sdk.KindPrincipalMapper, sdk.KindPrincipalRolesMapper:
		if c.Setup.Tenant == "" {
			c.Setup.Tenant = realm
		}
	case sdk.KindSecretResolver:
		if c.Setup.Store == "" {
			c.Setup.Store = "store"
		}
	case sdk.KindCredentialVendor:
		if c.Setup.AuthenticationType == "" {
			c.Setup.AuthenticationType = "PLUGINTEST"
		}
	}
	if c.Setup.RolePrefix == "" {
		c.Setup.RolePrefix = "PRINCIPAL_ROLE:"
	}
}

// works makes the case's call, which has to succeed; one of the suite's own has to be answered as an honest part may.
func (c *Case) works(ctx context.Context, i *Instance) error { return c.judge(c.Call(ctx, i)) }

func (c *Case) judge(err error) error {
	if err == nil || !c.tolerant {
		return err
	}
	var f *rpc.Failure
	var x *finding
	switch {
	case errors.As(err, &x):
		return err
	case sdk.AsDenial(err) != nil:
		return nil
	case errors.Is(err, rpc.ErrLost):
		return fmt.Errorf("the plugin is lost: %w", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", err)
	case errors.As(err, &f) && f.Code == rpc.CodePanic:
		return fmt.Errorf("the plugin panics: %w", err)
	case errors.As(err, &f) && f.Code == rpc.CodeUnknownInstance:
		return fmt.Errorf("the instance is there, and the plugin says that it is not: %w", err)
	}
	return nil
}

// probes are the calls of cases that have none.
var probes = map[sdk.Kind]func(context.Context, *Instance) error{
	sdk.KindIdentityProvider: func(ctx context.Context, i *Instance) error {
		st := sdk.State{Request: &sdk.Request{Realm: i.realm(), Scheme: i.c.scheme, Token: i.madeUp()}}
		if err := i.Step(ctx, &st); err != nil {
			return err
		}
		return found("a made-up token is accepted")
	},
	sdk.KindPrincipalMapper: func(ctx context.Context, i *Instance) error {
		_, err := i.mapped(ctx, "alice")
		return err
	},
	sdk.KindPrincipalRolesMapper: func(ctx context.Context, i *Instance) error {
		_, err := i.mapped(ctx, "alice")
		return err
	},
	sdk.KindAuthenticator: func(ctx context.Context, i *Instance) error {
		_, err := i.authenticate(ctx, sdk.PrincipalRef{ID: i.c.Principals[0].ID, Name: i.c.Principals[0].Name})
		return err
	},
	sdk.KindActiveRolesProvider: func(ctx context.Context, i *Instance) error {
		st := sdk.State{
			Principal:  &sdk.Principal{ID: "1", Name: "x", Enabled: true, Roles: []string{"a", "b"}},
			Credential: &sdk.Credential{RequestedRoles: []string{i.c.Setup.RolePrefix + "ALL"}},
		}
		if err := i.Step(ctx, &st); err != nil {
			return err
		}
		for _, r := range st.Active {
			if r != "a" && r != "b" {
				return found("the role %s is activated, which is not granted", excerpt(r))
			}
		}
		return nil
	},
	sdk.KindTokenBroker: func(ctx context.Context, i *Instance) error {
		_, err := i.roundTrip(ctx, i.grant())
		return err
	},
	sdk.KindSecretResolver: func(ctx context.Context, i *Instance) error {
		ref, err := sdk.ParseSecretRef(i.place())
		if err != nil {
			return err
		}
		if _, err = i.Resolve(ctx, ref); err == nil {
			return found("a reference to nothing has a value")
		}
		if sdk.AsDenial(err) != nil {
			return found("a reference to nothing is denied (%v); a denial says that the caller is at fault", err)
		}
		return err
	},
	sdk.KindCredentialVendor: func(ctx context.Context, i *Instance) error {
		r := sdk.VendRequest{Connection: sdk.Connection{
			Realm: "plugintest", Name: "plugintest", Version: 1, Type: "GENERIC_HTTP", URI: "https://plugintest.invalid", AuthenticationType: "PLUGINTEST", Authentication: []byte(`{}`),
		}}
		if i.c.Vend != nil {
			r = *i.c.Vend
		}
		got, err := i.Vend(ctx, r)
		if err == nil && i.c.Vend != nil {
			if err := soundCredentials(got, r.Connection.AuthenticationType); err != nil {
				return &finding{err}
			}
		}
		return err
	},
}

// madeUp gives a token in the form of a JWT (RFC 7519) that nobody issued.
func (i *Instance) madeUp() string {
	part := func(v map[string]any) string {
		raw, _ := json.Marshal(v) // of texts and numbers
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	token := part(map[string]any{"alg": "RS256", "kid": rand.Text()}) + "." +
		part(map[string]any{"iss": "https://plugintest.invalid", "sub": "plugintest", "exp": time.Now().Add(time.Hour).Unix(), "jti": rand.Text()}) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat(rand.Text(), 10)))
	i.suite.notes.confide("a made-up token", token)
	return token
}

// mapped has a mapper map the identity of somebody, and gives what it answers as a text.
func (i *Instance) mapped(ctx context.Context, who string) (string, error) {
	return i.mappedAs(ctx, who, who)
}

// mappedAs has it map an identity that has the claims of somebody, and another subject.
func (i *Instance) mappedAs(ctx context.Context, who, subject string) (string, error) {
	st := sdk.State{Identity: i.identity(who, subject)}
	if err := i.Step(ctx, &st); err != nil {
		return "", err
	}
	if i.c.Kind == sdk.KindPrincipalRolesMapper {
		return quoted(st.Mapped), nil
	}
	if *st.Ref == (sdk.PrincipalRef{}) {
		return "", found("the identity is mapped to a principal that has neither id nor name")
	}
	return fmt.Sprintf("%q", *st.Ref), nil
}

// identity makes an identity that has what identities have, and a claim wherever a setting may name one.
func (i *Instance) identity(who, subject string) *sdk.Identity {
	claims := map[string]any{"iss": "https://plugintest.invalid", "sub": subject, "preferred_username": who, "email": who + "@plugintest.invalid", "groups": []string{who, "plugintest"}}
	settings, _ := i.c.object() // the caller has configured them
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		var path sdk.ClaimPath
		var text string
		if json.Unmarshal(settings[key], &text) != nil || path.UnmarshalText([]byte(text)) != nil {
			continue
		}
		put(claims, strings.Split(text, "/"), who)
	}
	raw, _ := json.Marshal(claims) // of texts
	return &sdk.Identity{
		Tenant: i.c.Setup.Tenant, Issuer: "https://plugintest.invalid", Subject: subject, Audience: []string{"plugintest"}, TokenID: "plugintest-" + who,
		Claims: sdk.NewClaims(raw), Roles: []string{who, "plugintest"}, AuthTime: time.Now(), Expires: time.Now().Add(time.Hour),
	}
}

// put puts a value below claims where a path leads, unless something else is there.
func put(claims map[string]any, path []string, value string) {
	for len(path) > 1 {
		inner, ok := claims[path[0]].(map[string]any)
		if !ok {
			inner = map[string]any{}
			claims[path[0]] = inner
		}
		claims, path = inner, path[1:]
	}
	if _, taken := claims[path[0]]; !taken {
		claims[path[0]] = value
	}
}

// quoted writes a list of texts of foreign origin.
func quoted(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strconv.Quote(s)
	}
	return strings.Join(out, ", ")
}
