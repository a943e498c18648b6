package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
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
	case "refuse with the key":
		v, _ := s.Key.Value(ctx)
		return nil, sdk.At(fmt.Errorf("is no key: %q", v.Reveal()), "key")
	case "refuse":
		return nil, sdk.At(errors.New("is not a thing to do, password=hunter2"), "do")
	case "warn":
		sdk.Warn(ctx, sdk.At(errors.New("that is unwise"), "do"))
	case "hang in the constructor":
		time.Sleep(time.Hour)
	}
	return &part{s, su}, nil
}

// Close notes its end where it was told to.
func (p *part) Close() error {
	path, found := strings.CutPrefix(p.Do, "note the end in ")
	if !found {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s;", p.setup.Store+p.setup.Tenant)
	return errors.Join(err, f.Close())
}

// Check says what its key says; without one the part can do its work.
func (p *part) Check(ctx context.Context) error {
	switch p.Do {
	case "hang in a check":
		time.Sleep(time.Hour)
	case "refuse a check":
		return sdk.Deny("no", "no,\npassword=hunter2")
	}
	if p.Key.IsZero() {
		return nil
	}
	_, err := p.Key.Value(ctx)
	return err
}

func (p *part) Identify(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
	switch {
	case r.Token == "wait" && p.Do == "wait for some":
		<-ctx.Done()
		return sdk.Identity{}, ctx.Err()
	case r.Token == "wait" && p.Do == "come late": // as one who does not look at the time
		<-ctx.Done()
		time.Sleep(fair)
	case r.Token == "wait" && p.Do == "hang for some":
		time.Sleep(time.Hour)
	}
	if r.Token == "bad" {
		return sdk.Identity{}, sdk.Deny("bad_token", "the token is bad,\npassword=hunter2")
	}
	return sdk.Identity{Subject: r.Token, Claims: sdk.NewClaims([]byte(`{}`)), Expires: time.Now().Add(time.Hour)}, nil
}

func (p *part) MapPrincipal(ctx context.Context, id sdk.Identity) (sdk.PrincipalRef, error) {
	switch p.Do {
	case "panic":
		panic("the mapper panics")
	case "exit once", "exit always":
		fall(p.Do)
	case "wait": // as one who asks a provider that does not answer
		<-ctx.Done()
		return sdk.PrincipalRef{}, ctx.Err()
	case "wait for some":
		if id.Subject == "wait" {
			<-ctx.Done()
			return sdk.PrincipalRef{}, ctx.Err()
		}
	case "hang for a while":
		if id.Subject == "hang" {
			time.Sleep(5 * stuckAfter)
		}
	case "hang for some":
		if id.Subject == "hang" {
			time.Sleep(time.Hour)
		}
	case "exit":
		fmt.Fprintln(os.Stderr, "the mapper exits")
		os.Exit(7)
	case "hang":
		time.Sleep(time.Hour)
	case "fail":
		return sdk.PrincipalRef{}, errors.New("login failed: client_secret=hunter2\nand more")
	case "fail or deny":
		switch id.Subject {
		case "no":
			return sdk.PrincipalRef{}, sdk.Forbid("stranger", "no")
		case "yes":
			return sdk.PrincipalRef{Name: "yes"}, nil
		}
		return sdk.PrincipalRef{}, errors.New("it is broken")
	case "await": // a file
		if err := os.WriteFile(id.Subject+".awaited", nil, 0o600); err != nil {
			return sdk.PrincipalRef{}, err
		}
		for {
			if _, err := os.Stat(id.Subject); err == nil {
				return sdk.PrincipalRef{Name: "awaited"}, nil
			}
			time.Sleep(time.Millisecond)
		}
	case "where":
		dir, err := os.Getwd()
		return sdk.PrincipalRef{Name: dir}, err
	case "ask":
		q, err := sdk.FindPrincipal(ctx, sdk.PrincipalRef{Name: id.Subject})
		return sdk.PrincipalRef{ID: q.ID}, err
	case "ask for a key":
		k, err := sdk.FindAccessKey(ctx, id.Subject)
		return k.Principal, err
	case "tell the key":
		s, err := p.Key.Value(ctx)
		key := string(s.Reveal())
		switch {
		case err != nil:
			return sdk.PrincipalRef{}, err
		case id.Subject == "deny":
			return sdk.PrincipalRef{}, &sdk.Denial{Reason: "bad_key", Detail: "the key is " + key, Challenge: []sdk.Header{{Name: "www-authenticate", Value: "Bearer key=" + key}}}
		}
		return sdk.PrincipalRef{}, fmt.Errorf("the key is %q, %x", key[:13], key)
	case "resolve":
		s, err := p.Key.Value(ctx)
		return sdk.PrincipalRef{Name: string(s.Reveal())}, err
	case "resolve a pair":
		var all []string
		for _, field := range []string{"user", "password", "user"} {
			ref, err := sdk.ParseSecretRef("urn:realmgate-secret:store:" + id.Subject + "#" + field)
			if err != nil {
				return sdk.PrincipalRef{}, err
			}
			s, err := ref.Value(ctx)
			if err != nil {
				return sdk.PrincipalRef{}, err
			}
			all = append(all, string(s.Reveal()))
		}
		return sdk.PrincipalRef{Name: strings.Join(all, " ")}, nil
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

// fall ends the process and leaves a byte where the test can count it; once: only if there is none yet.
func fall(how string) {
	mark := os.Getenv("MARK")
	if _, err := os.Stat(mark); err == nil && how == "exit once" {
		return
	}
	f, err := os.OpenFile(mark, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, _ = f.WriteString("x")
	}
	os.Exit(7)
}

func (p *part) Issue(_ context.Context, g sdk.Grant) (sdk.Token, error) {
	if g.ClientID == "falls" {
		fall("exit always")
	}
	if p.Do == "fail" {
		return sdk.Token{}, errors.New("this build signs nothing")
	}
	if p.Do == "busy" {
		return sdk.Token{}, fmt.Errorf("signing: %w", sdk.ErrBusy)
	}
	return sdk.Token{Value: "for " + g.ClientID + " of " + p.setup.Realm, Type: "Bearer"}, nil
}

func (p *part) Keys(context.Context) ([]byte, time.Time, error) {
	if p.Do == "exit once" {
		fall(p.Do)
	}
	return []byte(`{"keys":[]}`), time.Now().Add(time.Minute), nil
}

func (p *part) Resolve(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	if ref.Path() == "wait" {
		<-ctx.Done()
		return sdk.Secret{}, ctx.Err()
	}
	if ref.Path() == "falls/once" {
		fall("exit once")
	}
	return sdk.NewSecret([]byte("value of " + ref.Path())), nil
}

func (p *part) WriteSecret(_ context.Context, ref sdk.SecretRef, _ []byte) (string, error) {
	if ref.Path() == "falls" {
		fall("exit always")
	}
	return "3", nil
}

func (p *part) DeleteSecret(_ context.Context, ref sdk.SecretRef) error {
	if ref.Path() == "falls" {
		fall("exit always")
	}
	return nil
}

// Vend tells what it could resolve of the reference that the connection's authentication names.
func (p *part) Vend(ctx context.Context, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	text, err := p.resolve(ctx, r.Connection)
	return sdk.ConnectionCredentials{Properties: map[string]sdk.Secret{"found": sdk.NewSecret([]byte(text))}, AuditID: r.Caller.Name}, err
}

func (p *part) Sign(ctx context.Context, r sdk.SignRequest) (sdk.SignedRequest, error) {
	text, err := p.resolve(ctx, r.Connection)
	return sdk.SignedRequest{URL: r.HTTP.RawTarget, Header: []sdk.Header{{Name: "found", Value: text}}}, err
}

// What one call of a vendor leaves for another one: its context, behind its end too, and how far it is.
var (
	keptCalls sync.Map // name of the connection -> context
	callGate  = make(chan struct{})
)

func (p *part) resolve(ctx context.Context, c sdk.Connection) (string, error) {
	var a struct{ Ref, From string }
	if err := json.Unmarshal(c.Authentication, &a); err != nil {
		return "", err
	}
	keptCalls.Store(c.Name, context.WithoutCancel(ctx))
	switch c.Name {
	case "falls":
		fall("exit always")
	case "denied":
		return "", sdk.Forbid("role_not_assumed", "password=hunter2")
	case "waits":
		<-callGate
	case "lets go":
		defer func() { callGate <- struct{}{} }()
	}
	if a.From != "" {
		kept, ok := keptCalls.Load(a.From)
		if !ok {
			return "", errors.New("there was no such call")
		}
		ctx = kept.(context.Context)
	}
	ref, err := sdk.ParseSecretRef(a.Ref)
	if err != nil {
		return "", err
	}
	s, err := ref.Value(ctx)
	return string(s.Reveal()), err
}

// plainVendor cannot sign.
type plainVendor struct{}

func (plainVendor) Vend(context.Context, sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	return sdk.ConnectionCredentials{}, nil
}

func implementations(typ string) []sdk.Implementation {
	return []sdk.Implementation{
		sdk.PrincipalMapperType("modest-"+typ, newPart),
		sdk.IdentityProviderType(typ, newPart), sdk.PrincipalMapperType(typ, newPart, sdk.Wants(sdk.WantPrincipals, sdk.WantAccessKeys, sdk.WantGrantedSecrets)), sdk.PrincipalRolesMapperType(typ, newPart),
		sdk.AuthenticatorType(typ, newPart, sdk.Wants(sdk.WantPrincipals)), sdk.ActiveRolesProviderType(typ, newPart), sdk.TokenBrokerType(typ, newPart),
		sdk.SecretResolverType(typ, newPart), sdk.CredentialVendorType(typ, newPart),
		sdk.CredentialVendorType("plain-"+typ, func(context.Context, sdk.Setup, struct{}) (plainVendor, error) { return plainVendor{}, nil }),
	}
}
