package rpc

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/realmgate/realmgate/sdk"
)

const (
	// maxCode bounds the reason of a denial, in bytes.
	maxCode = 64
	// maxReasonsTold is how many bad reasons a process tells of.
	maxReasonsTold = 16
	// otherReason stands for a bad one.
	otherReason = "unspecified"
)

// isCode says whether s is a reason: snake case, of at most 64 bytes.
func isCode(s string) bool {
	return s != "" && len(s) <= maxCode && !slices.ContainsFunc([]byte(s), func(c byte) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_'
	})
}

// reasons are the bad ones that were told of. The zero reasons is ready to use.
type reasons struct {
	mu   sync.Mutex
	told []string
}

// first says whether a bad reason has not been told of yet, and should be.
func (r *reasons) first(reason string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.told) >= maxReasonsTold || slices.Contains(r.told, reason) {
		return false
	}
	r.told = append(r.told, reason)
	return true
}

// logReason tells the author, once, of a reason that the host replaces: it is nowhere else to be seen.
func (p *plugin) logReason(ctx context.Context, err error) {
	d := sdk.AsDenial(err)
	if d == nil || isCode(d.Reason) {
		return
	}
	if reason := text(cut(d.Reason, 2*maxCode)); p.reasons.first(reason) {
		sdk.Logger(ctx).WarnContext(ctx, "a denial has a reason that is not in snake case, of 1 to 64 letters a-z, digits and _: callers and metrics are shown another one",
			slog.String("reason", reason), slog.String("shown", otherReason))
	}
}
