package awsiam_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/login"
	"github.com/realmgate/realmgate/plugins/aws/ststest"
	"github.com/realmgate/realmgate/sdk/breaker"
)

// TestSTSThatIsLeftAlone: after some proofs could not be confirmed no tenant waits for an STS that is down, nobody is denied, those who
// ask another one do not notice, and when it is back one finds out for all.
func TestSTSThatIsLeftAlone(t *testing.T) {
	t.Parallel()
	s, up := ststest.New(t, user), ststest.New(t, user)
	began := time.Now()
	var ahead atomic.Int64
	now := func() time.Time { return began.Add(time.Duration(ahead.Load())) }
	ctx := breaker.WithOutbound(t.Context(), breaker.NewOutbound(breaker.Config{Now: now}, nil))
	one, two, other := newTenantIn(ctx, t, s.URL, nil), newTenantIn(ctx, t, s.URL, nil), newTenantIn(ctx, t, up.URL, nil)
	proof := func(sts string, n int) string {
		return sign(t, user, login.FormK8s, sts, one.now().Add(-time.Duration(n)*time.Second))
	}
	s.Instead(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	for n := range 5 {
		one.want(t, "down", proof(s.URL, n), "unavailable")
	}
	before := s.Requests()
	_, got, _ := two.identify(t.Context(), proof(s.URL, 6))
	if !strings.HasPrefix(got, "unavailable: ") || !strings.Contains(got, "left alone for a while (it answers 503)") || s.Requests() != before {
		t.Errorf("%s; asked %d times", got, s.Requests()-before)
	}
	other.want(t, "another STS", proof(up.URL, 0), "")
	s.Instead(nil)
	ahead.Add(int64(time.Second))
	two.want(t, "back", proof(s.URL, 7), "")
	one.want(t, "back", proof(s.URL, 8), "")
}
