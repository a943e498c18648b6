package secrets

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/realmgate/realmgate/plugins/aws/client"
	"github.com/realmgate/realmgate/plugins/aws/identity"
	"github.com/realmgate/realmgate/sdk"
)

// Settings are those of both stores.
type Settings struct {
	client.Settings
	Region      string        `json:"region" doc:"region of the store, e.g. eu-central-1"`
	Endpoint    string        `json:"endpoint,omitempty" doc:"URL of the service, for a VPC endpoint or what is not AWS itself; https unless the host is loopback. Without it, the region's"`
	FIPS        bool          `json:"fips" default:"false" doc:"ask the endpoints that FIPS 140 demands; not together with endpoint"`
	Credentials sdk.SecretRef `json:"credentials,omitempty" doc:"reference to the keys, in another store: JSON with access_key_id, secret_access_key and perhaps session_token. Without it, the default credential chain of the plugin's environment"`
	KMSKeyID    string        `json:"kms_key_id,omitempty" doc:"key that secrets which Realmgate writes are encrypted with; the account's own for the service without it"`
}

// maxSecret bounds a secret in bytes, as Secrets Manager does.
const maxSecret = 64 << 10

// maxName bounds the name of a secret, or its ARN.
const maxName = 2048

var regionPattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)

// store is what both have: how to reach the service, and as whom.
type store struct {
	settings Settings
	http     *http.Client
	chain    *identity.Chain
	timeout  time.Duration
}

func newStore(ctx context.Context, part string, s Settings) (*store, error) {
	h, err := s.Client(ctx, part, s.endpoint())
	if !regionPattern.MatchString(s.Region) {
		err = errors.Join(err, sdk.At(errors.New("it is not the name of a region, e.g. eu-central-1"), "region"))
	}
	if err != nil {
		return nil, err
	}
	return &store{settings: s, http: h, chain: identity.NewChain(ctx, part), timeout: s.Timeout.Std()}, nil
}

func (s *Settings) endpoint() client.Endpoint {
	return client.Endpoint{URL: s.Endpoint, URLKey: "endpoint", FIPS: s.FIPS, FIPSKey: "fips"}
}

// Close ends idle connections.
func (s *store) Close() error {
	s.http.CloseIdleConnections()
	return nil
}

// keys gives the keys to ask with.
func (s *store) keys(ctx context.Context) (aws.Credentials, error) {
	if s.settings.Credentials.IsZero() {
		return s.chain.Retrieve(ctx)
	}
	secret, err := s.settings.Credentials.Value(ctx)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("the store's credentials: %w", err)
	}
	keys, err := identity.Parse(secret)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("the store's credentials (%s): %w", s.settings.Credentials, err)
	}
	return keys, nil
}

// bounded refuses a secret that is too long.
func bounded(value []byte) error {
	if len(value) > maxSecret {
		return fmt.Errorf("the secret is longer than %d bytes", maxSecret)
	}
	return nil
}
