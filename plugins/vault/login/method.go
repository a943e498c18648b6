package login

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/sdk"
)

// Choice says how to log in: in exactly one way.
type Choice struct {
	Token      sdk.SecretRef `json:"token,omitempty" doc:"log in with a token as it is: reference to it, in another store. It is renewed if it can be, never revoked"`
	TokenFile  string        `json:"token_file,omitempty" doc:"log in with the token in a file that something else keeps fresh (the sink of a Vault agent); read again when it changes, never renewed or revoked. Not accessible to others"`
	AppRole    *AppRole      `json:"approle,omitempty" doc:"log in by AppRole"`
	Kubernetes *Kubernetes   `json:"kubernetes,omitempty" doc:"log in with the token of a Kubernetes service account"`
	JWT        *JWT          `json:"jwt,omitempty" doc:"log in with a JWT"`
	AWS        *AWS          `json:"aws,omitempty" doc:"log in with an IAM identity of AWS"`
	Cert       *Cert         `json:"cert,omitempty" doc:"log in with the TLS client certificate (client_cert_file)"`
}

// method is one way to log in.
type method interface {
	// proof reads what the login is made with, e.g. a secret id; "" if there is no such thing. ctx is that of a call, so that
	// references can be resolved.
	proof(ctx context.Context) (string, error)
	// login asks for a token.
	login(ctx context.Context, c *client.Client, proof string) (grant, error)
}

// watched is a method that sees at once, without reading anything, that what the token was got with is another: a fresh login is
// due then.
type watched interface{ changed() bool }

// grant is a token as it was got.
type grant struct {
	value     string
	ttl       time.Duration // from the question on; zero: it does not expire, as far as is known
	renewable bool
	ours      bool // made by this login: it is revoked when it is no longer needed
	looks     bool // it may look itself up
}

// method gives the one that is set; nil if none is.
func (s *Choice) method(c *client.Client) (method, error) {
	var all []method
	var faults []error
	add := func(m method, err error, at string) {
		all = append(all, m)
		faults = append(faults, sdk.At(err, at))
	}
	if !s.Token.IsZero() {
		add(static{s.Token}, nil, "token")
	}
	if s.TokenFile != "" {
		add(&sink{path: s.TokenFile}, nil, "token_file")
	}
	if s.AppRole != nil {
		add(&appRole{AppRole: *s.AppRole}, s.AppRole.check(), "approle")
	}
	if s.Kubernetes != nil {
		add(s.Kubernetes, s.Kubernetes.check(), "kubernetes")
	}
	if s.JWT != nil {
		add(s.JWT, s.JWT.check(), "jwt")
	}
	if s.AWS != nil {
		add(&iam{AWS: *s.AWS}, s.AWS.check(), "aws")
	}
	if s.Cert != nil {
		add(&cert{Cert: *s.Cert, client: c}, s.Cert.check(c), "cert")
	}
	if len(all) > 1 {
		faults = append(faults, errors.New("there is more than one way to log in; leave one of token, token_file, approle, kubernetes, jwt, aws and cert"))
	}
	if err := errors.Join(faults...); err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0], nil
}

func checkMount(name string) error {
	if !client.IsMount(name) {
		return sdk.At(errors.New("it is not where an authentication method is mounted: names with slashes in between, without auth/ in front"), "mount")
	}
	return nil
}

func checkRole(role string) error {
	if role == "" {
		return sdk.At(errors.New("a role is needed"), "role")
	}
	return nil
}

// ask logs in at a method's mount.
func ask(ctx context.Context, c *client.Client, mount string, body map[string]any) (grant, error) {
	out, err := c.Do(ctx, client.Request{Method: http.MethodPost, Path: "auth/" + mount + "/login", Body: body})
	if err != nil {
		return grant{}, err
	}
	if out == nil || out.Auth == nil || out.Auth.ClientToken == "" {
		return grant{}, errors.New("the server gives no token; a login with a second factor is not possible here")
	}
	return grant{
		value: out.Auth.ClientToken, ttl: time.Duration(out.Auth.LeaseDuration) * time.Second, renewable: out.Auth.Renewable, ours: true,
		looks: slices.Contains(out.Auth.Policies, "default") || slices.Contains(out.Auth.Policies, "root"),
	}, nil
}

// IsZero says whether no way is set.
func (s Choice) IsZero() bool {
	return s.Token.IsZero() && s.TokenFile == "" && s.AppRole == nil && s.Kubernetes == nil && s.JWT == nil && s.AWS == nil && s.Cert == nil
}
