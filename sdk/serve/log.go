package serve

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

// handler writes log/slog records as the JSON lines that go-plugin's host reads from standard error.
type handler struct {
	to     hclog.Logger
	prefix string // the open groups, each with a dot behind it
}

func newHandler(to hclog.Logger) slog.Handler { return handler{to: to} }

func levelOf(l slog.Level) hclog.Level {
	switch {
	case l < slog.LevelDebug:
		return hclog.Trace
	case l < slog.LevelInfo:
		return hclog.Debug
	case l < slog.LevelWarn:
		return hclog.Info
	case l < slog.LevelError:
		return hclog.Warn
	}
	return hclog.Error
}

// Enabled is slog.Handler's.
func (h handler) Enabled(_ context.Context, l slog.Level) bool {
	to := h.to.GetLevel()
	return to != hclog.Off && levelOf(l) >= to
}

// Handle is slog.Handler's.
func (h handler) Handle(_ context.Context, r slog.Record) error {
	args := make([]any, 0, 2*r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		args = appendAttr(args, h.prefix, a)
		return true
	})
	h.to.Log(levelOf(r.Level), r.Message, args...)
	return nil
}

// WithAttrs is slog.Handler's.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var args []any
	for _, a := range attrs {
		args = appendAttr(args, h.prefix, a)
	}
	if len(args) == 0 {
		return h
	}
	return handler{to: h.to.With(args...), prefix: h.prefix}
}

// WithGroup is slog.Handler's.
func (h handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return handler{to: h.to, prefix: h.prefix + name + "."}
}

func appendAttr(args []any, prefix string, a slog.Attr) []any {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, x := range v.Group() {
			args = appendAttr(args, prefix, x)
		}
		return args
	}
	if a.Equal(slog.Attr{}) {
		return args
	}
	// The host's parser owns the keys with an @: one of an author's must not pass for the message or the level.
	key := prefix + a.Key
	if strings.HasPrefix(key, "@") {
		key = "_" + key[1:]
	}
	return append(args, key, plain(v))
}

func plain(v slog.Value) any {
	switch v.Kind() {
	case slog.KindDuration:
		return v.Duration().String()
	case slog.KindTime:
		return v.Time().Format(time.RFC3339Nano)
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			return err.Error()
		}
		return v.Any()
	}
	return v.Any()
}
