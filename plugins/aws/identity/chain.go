package identity

import (
	"context"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// Chain is the SDK's default credential chain: environment, shared files, web identity, container and instance roles. It is
// set up on first use, and its credentials are kept until they expire.
type Chain struct {
	mu       sync.Mutex
	provider aws.CredentialsProvider
}

// Retrieve gives the chain's credentials.
func (c *Chain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	p, err := c.load(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	keys, err := p.Retrieve(ctx)
	if err == nil && !keys.HasKeys() {
		err = fmt.Errorf("it gives no keys")
	}
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("the default credential chain: %w", err)
	}
	return keys, nil
}

func (c *Chain) load(ctx context.Context) (aws.CredentialsProvider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.provider == nil {
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, fmt.Errorf("the default credential chain: %w", err)
		}
		c.provider = cfg.Credentials
	}
	return c.provider, nil
}
