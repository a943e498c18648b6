package oauth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/realmgate/realmgate/plugins/default/vendors/bearer"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/egress"
)

// Vendor gives the tokens of OAUTH connections. It may be used from many goroutines.
type Vendor struct {
	settings Settings
	deny     egress.List
	client   *http.Client
	tokens   *tokens
	now      func() time.Time
}

// NewVendor checks the settings. It asks nobody.
func NewVendor(ctx context.Context, _ sdk.Setup, s Settings) (*Vendor, error) {
	return newVendor(ctx, s, time.Now)
}

func newVendor(ctx context.Context, s Settings, now func() time.Time) (*Vendor, error) {
	o, err := s.options()
	if err != nil {
		return nil, err
	}
	client := egress.NewClient(o)
	client.Transport = breaker.OutboundOf(ctx).TransportByPath("oauth", client.Transport, egress.Theirs)
	return &Vendor{settings: s, deny: o.Deny, client: client, tokens: newTokens(s.MaxTokens, s.RefreshBefore.Std(), now), now: now}, nil
}

// Close ends what is under way.
func (v *Vendor) Close() error {
	v.tokens.stop()
	v.client.CloseIdleConnections()
	return nil
}

// Vend gives the connection's token as "token", with its end where that is known.
func (v *Vendor) Vend(ctx context.Context, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	if err := bearer.CheckNarrowing(r.NarrowTo); err != nil {
		return sdk.ConnectionCredentials{}, err
	}
	t, err := v.token(ctx, &r.Connection, max(r.MinLifetime, 0))
	if err != nil {
		return sdk.ConnectionCredentials{}, err
	}
	return t.Credentials(), nil
}

// Sign gives a request the connection's token as its Authorization. The host sees to which hosts a connection may sign for.
func (v *Vendor) Sign(ctx context.Context, r sdk.SignRequest) (sdk.SignedRequest, error) {
	if err := bearer.CheckSigning(&r, v.settings.AllowHTTP); err != nil {
		return sdk.SignedRequest{}, err
	}
	t, err := v.token(ctx, &r.Connection, 0)
	if err != nil {
		return sdk.SignedRequest{}, err
	}
	return t.Sign(&r), nil
}

func (v *Vendor) token(ctx context.Context, c *sdk.Connection, atLeast time.Duration) (issued, error) {
	p, err := parse(c, v.deny, v.settings.AllowHTTP)
	if err != nil {
		return issued{}, err
	}
	t, err := v.kept(ctx, c, p, atLeast)
	if err != nil && sdk.AsDenial(err) == nil {
		err = fmt.Errorf("connection %s: %w", c.Name, err)
	}
	return t, err
}

func (v *Vendor) kept(ctx context.Context, c *sdk.Connection, p *parameters, atLeast time.Duration) (issued, error) {
	secret, err := p.ClientSecret.Value(ctx)
	if err != nil {
		return issued{}, fmt.Errorf("clientSecret: %w", err)
	}
	sum := sha256.Sum256(secret.Reveal())
	key := keyOf(c.Realm, c.Name, strconv.FormatInt(c.Version, 10), p.endpoint.String(), p.ClientID, strings.Join(p.Scopes, " "), string(sum[:]))
	return v.tokens.get(ctx, key, atLeast, func(ctx context.Context) (issued, error) { return v.ask(ctx, p, secret) })
}
