package rpc

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// scopedHost is a host that numbers the calls in whose course it is asked.
type scopedHost struct {
	fakeHost
	scopes atomic.Int64
}

type scopeKey struct{}

func (h *scopedHost) Scope(ctx context.Context) context.Context {
	return context.WithValue(ctx, scopeKey{}, h.scopes.Add(1))
}

// All that is asked in the course of one call has one scope; another call has another one, a nested one too.
func TestScopeOfACall(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, unary bool) {
		outer, inner := mustRef(t, "urn:realmgate-secret:s:outer"), mustRef(t, "urn:realmgate-secret:s:inner")
		f := &fake{identify: func(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
			ref := outer
			if r.Token == "inner" {
				ref = inner
			}
			first, err1 := ref.Value(ctx)
			second, err2 := ref.Value(ctx)
			return sdk.Identity{Subject: string(first.Reveal()) + " " + string(second.Reveal())}, errors.Join(err1, err2)
		}}
		h := &scopedHost{}
		var p *Process
		h.resolve = func(ctx context.Context, _ Caller, ref sdk.SecretRef) (sdk.Secret, error) {
			scope, _ := ctx.Value(scopeKey{}).(int64)
			text := strconv.FormatInt(scope, 10)
			if ref == outer {
				st := request("inner")
				if err := p.Run(ctx, "r", external, st); err != nil {
					return sdk.Secret{}, err
				}
				text += "(" + st.Identity.Subject + ")"
			}
			return sdk.NewSecret([]byte(text)), nil
		}
		p = startFake(t, f, h, unary)
		for _, want := range []string{"1(2 2) 1(3 3)", "4(5 5) 4(6 6)"} {
			st := request("outer")
			if err := p.Run(t.Context(), "r", external, st); err != nil || st.Identity.Subject != want {
				t.Errorf("%q, want %q, %v", st.Identity.Subject, want, err)
			}
		}
	})
}
