package identity

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk/breaker"
)

// TestChainIsLeftAlone: a credential service that fails is not asked by each who needs keys, in whichever instance; another part
// finds out by itself.
func TestChainIsLeftAlone(t *testing.T) {
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusBadRequest) // which the SDK does not repeat
	}))
	defer s.Close()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", s.URL)
	now := time.Now() // and for ever
	ctx := breaker.WithOutbound(t.Context(), breaker.NewOutbound(breaker.Config{Now: func() time.Time { return now }}, nil))
	one, two, other := NewChain(ctx, "sigv4"), NewChain(ctx, "sigv4"), NewChain(ctx, "aws-secrets-manager")
	for range 5 {
		if _, err := one.Retrieve(t.Context()); err == nil || !strings.HasPrefix(err.Error(), chainName+": ") || strings.Contains(err.Error(), "left alone") {
			t.Fatalf("%v", err)
		}
	}
	before := asked.Load()
	if before == 0 {
		t.Fatal("nobody was asked")
	}
	for _, c := range []*Chain{one, two} {
		if _, err := c.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "left alone for a while") || asked.Load() != before {
			t.Errorf("%v, asked %d times", err, asked.Load()-before)
		}
	}
	if _, err := other.Retrieve(t.Context()); err == nil || asked.Load() == before {
		t.Errorf("another part: %v", err)
	}
}
