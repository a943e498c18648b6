package rpc

import (
	"context"
	"errors"
	"log/slog"

	"github.com/realmgate/realmgate/sdk"
)

// callHandler adds what is known of a call to its log lines, when a line is written.
type callHandler struct {
	base     slog.Handler
	instance uint64
	serving  *serving
}

func (h *callHandler) attrs() []slog.Attr {
	out := []slog.Attr{slog.Uint64("instance", h.instance)}
	if id := h.serving.requestID; id != "" {
		out = append(out, slog.String("request_id", id))
	}
	if id := h.serving.trace.ID(); id != "" {
		out = append(out, slog.String("trace_id", id))
	}
	return out
}

// Enabled is slog.Handler's.
func (h *callHandler) Enabled(ctx context.Context, l slog.Level) bool { return h.base.Enabled(ctx, l) }

// Handle is slog.Handler's.
func (h *callHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.base.WithAttrs(h.attrs()).Handle(ctx, r)
}

// WithAttrs is slog.Handler's.
func (h *callHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.base.WithAttrs(h.attrs()).WithAttrs(attrs)
}

// WithGroup is slog.Handler's.
func (h *callHandler) WithGroup(name string) slog.Handler {
	return h.base.WithAttrs(h.attrs()).WithGroup(name)
}

// logPanic writes the stack of a panic, which the host is not sent.
func (p *plugin) logPanic(ctx context.Context, err error) {
	var panicked *sdk.PanicError
	if errors.As(err, &panicked) {
		sdk.Logger(ctx).ErrorContext(ctx, "an implementation panicked",
			slog.String("error", text(panicked.Error())), slog.String("stack", string(panicked.Stack)))
	}
}
