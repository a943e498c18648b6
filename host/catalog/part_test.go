package catalog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// settings tell the parts of the good plugin what to do.
type settings struct {
	Do    string        `json:"do,omitempty"`
	Key   sdk.SecretRef `json:"key,omitempty"`
	Early bool          `json:"early" default:"false"` // the constructor resolves the key
}

// part is every kind at once.
type part struct {
	settings
	setup sdk.Setup
}

func newPart(ctx context.Context, su sdk.Setup, s settings) (*part, error) {
	if s.Early {
		if _, err := s.Key.Value(ctx); err != nil {
			return nil, sdk.At(err, "key")
		}
	}
	switch s.Do {
	case "print":
		printJunk()
	case "refuse":
		return nil, sdk.At(errors.New("is not a thing to do, password=hunter2"), "do")
	case "warn":
		sdk.Warn(ctx, "that is unwise", "do")
	case "hang in the constructor":
		time.Sleep(time.Hour)
	}
	return &part{s, su}, nil
}

func (p *part) Identify(_ context.Context, r sdk.Request) (sdk.Identity, error) {
	if r.Token == "bad" {
		return sdk.Identity{}, sdk.Deny("bad_token", "the token is bad,\npassword=hunter2")
	}
	return sdk.Identity{Subject: r.Token, Claims: sdk.NewClaims([]byte(`{}`)), Expires: time.Now().Add(time.Hour)}, nil
}

func (p *part) MapPrincipal(ctx context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	switch p.Do {
	case "panic":
		panic("the mapper panics")
	case "exit":
		fmt.Fprintln(os.Stderr, "the mapper exits")
		os.Exit(7)
	case "hang":
		time.Sleep(time.Hour)
	case "fail":
		return sdk.PrincipalRef{}, errors.New("login failed: client_secret=hunter2\nand more")
	case "where":
		dir, err := os.Getwd()
		return sdk.PrincipalRef{Name: dir}, err
	case "ask":
		q, err := sdk.FindPrincipal(ctx, sdk.PrincipalRef{Name: id.Subject})
		return sdk.PrincipalRef{ID: q.ID}, err
	case "ask for a key":
		k, err := sdk.FindAccessKey(ctx, id.Subject)
		return k.Principal, err
	case "resolve":
		s, err := p.Key.Value(ctx)
		return sdk.PrincipalRef{Name: string(s.Reveal())}, err
	case "resolve other":
		ref, err := sdk.ParseSecretRef("urn:realmgate-secret:store:" + id.Subject)
		if err != nil {
			return sdk.PrincipalRef{}, err
		}
		s, err := ref.Value(ctx)
		return sdk.PrincipalRef{Name: string(s.Reveal())}, err
	}
	return sdk.PrincipalRef{Name: id.Subject}, nil
}

func (p *part) MapRoles(context.Context, sdk.Identity) ([]string, error) { return []string{"a"}, nil }

func (p *part) Authenticate(_ context.Context, c sdk.Credential) (sdk.Principal, error) {
	return sdk.Principal{ID: c.Principal.Name, Name: c.Principal.Name, Enabled: true, Roles: []string{"a"}}, nil
}

func (p *part) ActiveRoles(_ context.Context, q sdk.Principal, _ []string) ([]string, error) {
	return q.Roles, nil
}

func (p *part) Verify(context.Context, sdk.Request) (sdk.Credential, error) {
	return sdk.Credential{}, sdk.NotMine()
}

func (p *part) Issue(_ context.Context, g sdk.Grant) (sdk.Token, error) {
	return sdk.Token{Value: "for " + g.ClientID + " of " + p.setup.Realm, Type: "Bearer"}, nil
}

func (p *part) Keys(context.Context) ([]byte, time.Time, error) {
	return []byte(`{"keys":[]}`), time.Now().Add(time.Minute), nil
}

func (p *part) Resolve(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	return sdk.NewSecret([]byte("value of " + ref.Path())), nil
}

func (p *part) WriteSecret(context.Context, sdk.SecretRef, []byte) (string, error) { return "3", nil }

func (p *part) DeleteSecret(context.Context, sdk.SecretRef) error { return nil }

func implementations(typ string) []sdk.Implementation {
	return []sdk.Implementation{
		sdk.IdentityProviderType(typ, newPart), sdk.PrincipalMapperType(typ, newPart), sdk.PrincipalRolesMapperType(typ, newPart),
		sdk.AuthenticatorType(typ, newPart), sdk.ActiveRolesProviderType(typ, newPart), sdk.TokenBrokerType(typ, newPart),
		sdk.SecretResolverType(typ, newPart),
	}
}
