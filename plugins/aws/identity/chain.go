package identity

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/realmgate/realmgate/sdk/breaker"
)

// chainName is what an operator sees of the servers that the chain asks: which ones is told by the environment.
const chainName = "the default credential chain"

// Chain is the SDK's default credential chain: environment, shared files, web identity, container and instance roles. It is
// set up on first use, and its credentials are kept until they expire. Where it fails again and again it is left alone for a
// while: to find out that nobody answers takes it seconds.
type Chain struct {
	outbound *breaker.Outbound
	part     string

	mu       sync.Mutex
	provider aws.CredentialsProvider
	failed   error // the last one
}

// NewChain gives the chain of a part. The context is that of a constructor.
func NewChain(ctx context.Context, part string) *Chain {
	return &Chain{outbound: breaker.OutboundOf(ctx), part: part}
}

// Retrieve gives the chain's credentials.
func (c *Chain) Retrieve(ctx context.Context) (keys aws.Credentials, err error) {
	err = c.outbound.Do(ctx, c.part, chainName, func(ctx context.Context) (err error) {
		keys, err = c.retrieve(ctx)
		return err
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		return keys, nil
	case !errors.Is(err, breaker.ErrOpen):
		c.failed = fmt.Errorf("%s: %w", chainName, err)
		return aws.Credentials{}, c.failed
	case c.failed != nil:
		return aws.Credentials{}, fmt.Errorf("%w (it is left alone for a while)", c.failed)
	}
	return aws.Credentials{}, err
}

func (c *Chain) retrieve(ctx context.Context) (aws.Credentials, error) {
	p, err := c.load(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	keys, err := p.Retrieve(ctx)
	if err == nil && !keys.HasKeys() {
		err = errors.New("it gives no keys")
	}
	return keys, err
}

func (c *Chain) load(ctx context.Context) (aws.CredentialsProvider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.provider == nil {
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, err
		}
		c.provider = cfg.Credentials
	}
	return c.provider, nil
}
