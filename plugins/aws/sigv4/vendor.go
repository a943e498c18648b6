package sigv4

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/realmgate/realmgate/plugins/aws/identity"
	"github.com/realmgate/realmgate/sdk"
)

// Vendor gives the keys of SIGV4 connections and signs requests with them. It may be used from many goroutines.
type Vendor struct {
	settings Settings
	sts      asker
	sessions *sessions
	chain    *identity.Chain
	now      func() time.Time
}

// NewVendor checks the settings. STS is asked when a role is first wanted.
func NewVendor(ctx context.Context, setup sdk.Setup, s Settings) (*Vendor, error) {
	return NewVendorAt(time.Now)(ctx, setup, s)
}

// NewVendorAt gives a constructor of vendors that go by another clock: signatures bear its time.
func NewVendorAt(now func() time.Time) sdk.New[Settings, *Vendor] {
	return func(ctx context.Context, setup sdk.Setup, s Settings) (*Vendor, error) {
		if t := setup.AuthenticationType; t != "" && t != authenticationType {
			return nil, fmt.Errorf("this vendor is for the authentication type %s, not for %s", authenticationType, t)
		}
		http, err := s.Client(ctx, part, s.endpoint())
		if err := errors.Join(s.check(), err); err != nil {
			return nil, err
		}
		v := &Vendor{settings: s, chain: identity.NewChain(ctx, part), sts: asker{http: http, endpoint: s.endpoint(), now: now}, now: now}
		v.sessions, err = newSessions(s.MaxSessions, s.ExpiryWindow.Std(), s.Timeout.Std(), now)
		return v, err
	}
}

// Close ends what is under way.
func (v *Vendor) Close() error {
	v.sessions.close()
	v.sts.http.CloseIdleConnections()
	return nil
}

// Vend gives the connection's static keys, or those of a session of its role.
func (v *Vendor) Vend(ctx context.Context, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	p, err := parse(&r.Connection)
	if err != nil {
		return sdk.ConnectionCredentials{}, err
	}
	s, err := v.session(ctx, &r.Connection, p, r.Caller, r.NarrowTo, max(r.MinLifetime, 0))
	if err != nil {
		return sdk.ConnectionCredentials{}, fail(&r.Connection, err)
	}
	return sdk.ConnectionCredentials{Properties: properties(p, s.keys), Expires: s.keys.Expires, AuditID: s.auditID}, nil
}

// fail names the connection in what is not a denial.
func fail(c *sdk.Connection, err error) error {
	if sdk.AsDenial(err) != nil {
		return err
	}
	return fmt.Errorf("sigv4: connection %s: %w", c.Name, err)
}

// session gives keys that live for atLeast.
func (v *Vendor) session(ctx context.Context, c *sdk.Connection, p *parameters, caller sdk.Principal, narrow []string, atLeast time.Duration) (session, error) {
	if p.RoleARN == "" {
		if len(narrow) > 0 {
			return session{}, sdk.Forbid(ReasonNarrowing, "narrowTo: the connection has keys of its own, which cannot be limited")
		}
		return static(ctx, p)
	}
	policy, err := narrowed(p.role.partition, p.SessionPolicy, narrow)
	if err != nil {
		return session{}, err
	}
	w, err := v.settings.wishFor(c, p, caller, atLeast)
	if err != nil {
		return session{}, err
	}
	w.policy = policy
	if w.identity, w.keys, err = v.identity(ctx, c.ServiceIdentity); err != nil {
		return session{}, err
	}
	return v.sessions.get(ctx, w.parts(), atLeast, func(ctx context.Context) (session, error) { return v.sts.assume(ctx, w) })
}

const (
	authenticationType = "SIGV4"
	// identityType is the one that this vendor has keys for.
	identityType = "AWS_IAM"
)

// identity gives the ARN and the keys of the service identity. Without one nothing is given: never the keys of whatever
// environment this runs in.
func (v *Vendor) identity(ctx context.Context, id *sdk.ServiceIdentity) (string, aws.Credentials, error) {
	switch {
	case id == nil:
		return "", aws.Credentials{}, errors.New("it has no service identity, whose keys could take its role on")
	case id.Type != identityType:
		return "", aws.Credentials{}, fmt.Errorf("its service identity is of the type %q, not %s", clip(id.Type), identityType)
	case id.Credentials.IsZero() != id.DefaultChain:
		return "", aws.Credentials{}, errors.New("its service identity has neither a secret nor the default credential chain for its keys, or both")
	case id.DefaultChain:
		keys, err := v.chain.Retrieve(ctx)
		return id.ARN, keys, err
	}
	secret, err := id.Credentials.Value(ctx)
	if err != nil {
		return "", aws.Credentials{}, fmt.Errorf("the keys of the service identity %s: %w", id.ARN, err)
	}
	keys, err := identity.Parse(secret)
	if err != nil {
		return "", aws.Credentials{}, fmt.Errorf("the keys of the service identity %s (%s): %w", id.ARN, id.Credentials, err)
	}
	return id.ARN, keys, nil
}

// static gives the keys that the connection itself has. Nobody knows when they end.
func static(ctx context.Context, p *parameters) (session, error) {
	secret, err := p.SecretAccessKey.Value(ctx)
	if err != nil {
		return session{}, fmt.Errorf("secretAccessKey: %w", err)
	}
	var token sdk.Secret
	if !p.SessionToken.IsZero() {
		if token, err = p.SessionToken.Value(ctx); err != nil {
			return session{}, fmt.Errorf("sessionToken: %w", err)
		}
	}
	keys, err := identity.New(p.AccessKeyID, string(secret.Reveal()), string(token.Reveal()))
	if err != nil {
		return session{}, invalid("accessKeyId", "%v", err)
	}
	return session{keys: keys, auditID: keys.AccessKeyID}, nil
}

// properties names keys as Iceberg's clients do: for the catalog itself (rest.*, and the expiration-time of Polaris) and for
// what it stores in S3 (s3.*).
func properties(p *parameters, keys aws.Credentials) map[string]sdk.Secret {
	text := map[string]string{
		"client.region": p.SigningRegion, "rest.sigv4-enabled": "true", "rest.signing-region": p.SigningRegion, "rest.signing-name": p.SigningName,
	}
	for _, prefix := range []string{"rest.", "s3."} {
		text[prefix+"access-key-id"], text[prefix+"secret-access-key"] = keys.AccessKeyID, keys.SecretAccessKey
		if keys.SessionToken != "" {
			text[prefix+"session-token"] = keys.SessionToken
		}
	}
	if keys.CanExpire {
		text["s3.session-token-expires-at-ms"] = strconv.FormatInt(keys.Expires.UnixMilli(), 10)
		text["expiration-time"] = text["s3.session-token-expires-at-ms"]
	}
	out := make(map[string]sdk.Secret, len(text))
	for name, value := range text {
		out[name] = sdk.NewSecret([]byte(value))
	}
	return out
}
