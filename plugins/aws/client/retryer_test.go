package client

import (
	"errors"
	"fmt"
	"net/url"
	"testing"

	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/realmgate/realmgate/sdk/breaker"
)

// TestNoSecondTryOfNone: a question that was not asked is not repeated after a pause.
func TestNoSecondTryOfNone(t *testing.T) {
	t.Parallel()
	sent := func(err error) error {
		return &smithyhttp.RequestSendError{Err: &url.Error{Op: "Post", URL: "https://sts", Err: err}}
	}
	r := Retryer()
	if err := sent(fmt.Errorf("https://sts:443: %w", breaker.ErrOpen)); r.IsErrorRetryable(err) || !FailureOf("STS", err).Alone {
		t.Errorf("%v is tried again", err)
	}
	if err := sent(errors.New("connection reset")); !r.IsErrorRetryable(err) || FailureOf("STS", err).Alone {
		t.Errorf("%v is not tried again", err)
	}
}
