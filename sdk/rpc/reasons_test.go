package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// starting gives the lines with a message that begins so.
func (l lines) starting(with string) []map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []map[string]string
	for _, m := range *l.all {
		if strings.HasPrefix(m["msg"], with) {
			out = append(out, m)
		}
	}
	return out
}

// A reason that the host does not show is in the plugin's log, once for each, and for a bounded number.
func TestBadReasonsAreToldOnce(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		log := newLines()
		f := &fake{mapPrincipal: func(_ context.Context, i sdk.Identity) (sdk.PrincipalRef, error) {
			return sdk.PrincipalRef{}, fmt.Errorf("map: %w", sdk.Deny(i.Subject, "no"))
		}}
		p := start(t, &Server{Implementations: f.offers(), UnaryOnly: unary, Logger: slog.New(log)}, &fakeHost{})
		configureFake(t, p)
		deny := func(reason string) string {
			st := request("x")
			st.Identity = &sdk.Identity{Issuer: "i", Subject: reason}
			d := sdk.AsDenial(p.Run(t.Context(), "r", []Step{{sdk.KindPrincipalMapper, 2}}, st))
			if d == nil {
				t.Fatal("no denial")
			}
			return d.Reason
		}
		const begin = "a denial has a reason that is not in snake case"
		longest := strings.Repeat("x", 64)
		for _, good := range []string{"claim_missing", "a1", longest} {
			if got := deny(good); got != good || len(log.starting(begin)) > 0 {
				t.Errorf("%q is shown as %q, with %v", good, got, log.starting(begin))
			}
		}
		for range 3 {
			for _, bad := range []string{"Claim-Missing", longest + "x", ""} {
				if got := deny(bad); got != "unspecified" {
					t.Errorf("%q is shown as %q", bad, got)
				}
			}
		}
		told := log.starting(begin)
		if len(told) != 3 || told[0]["reason"] != "Claim-Missing" || told[0]["shown"] != "unspecified" || told[0]["instance"] != "2" || told[1]["reason"] != longest+"x" {
			t.Errorf("%v", told)
		}
		for n := range 2 * maxReasonsTold {
			deny(fmt.Sprintf("Bad %d", n))
		}
		if n := len(log.starting(begin)); n != maxReasonsTold {
			t.Errorf("%d reasons were told of, want %d", n, maxReasonsTold)
		}
	})
}
