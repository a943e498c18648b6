package sdk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Problem is one fault in settings.
type Problem struct {
	Path      string // JSON pointer (RFC 6901) into the settings; empty for the whole block
	Summary   string
	Sensitive bool // the value may be a secret: the host shows no snippet

	cause error
}

// Unwrap gives the error that [At] placed, if any.
func (p *Problem) Unwrap() error { return p.cause }

// Error gives path and summary.
func (p *Problem) Error() string {
	if p.Path == "" {
		return p.Summary
	}
	return p.Path + ": " + p.Summary
}

// At lets a constructor blame one key of its settings: sdk.At(err, "mapping", 0, "regex"). Faults that err already places
// are placed below the path. A nil err stays nil.
func At(err error, path ...any) error {
	if err == nil {
		return nil
	}
	prefix := pointer(path)
	var out []error
	for _, p := range Problems(err) {
		out = append(out, &Problem{Path: prefix + p.Path, Summary: p.Summary, Sensitive: p.Sensitive, cause: p.cause})
	}
	return errors.Join(out...)
}

func pointer(path []any) string {
	var b strings.Builder
	for _, p := range path {
		b.WriteByte('/')
		b.WriteString(pointerEscaper.Replace(fmt.Sprint(p)))
	}
	return b.String()
}

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

// Problems lists the faults that are joined in err; what has no place stands at the whole block.
func Problems(err error) []*Problem {
	if err == nil {
		return nil
	}
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		var out []*Problem
		for _, x := range many.Unwrap() {
			out = append(out, Problems(x)...)
		}
		return out
	}
	out := &Problem{Summary: err.Error(), cause: err}
	var p *Problem
	if errors.As(err, &p) {
		out.Path, out.Sensitive = p.Path, p.Sensitive
		if error(p) == err { //nolint:errorlint // a wrapped one keeps the words around it
			out.Summary = p.Summary
		}
	}
	return []*Problem{out}
}

type warnKey struct{}

type warnBox struct {
	mu  sync.Mutex
	all []*Problem
}

// Warn lets a constructor tell the operator of something that is allowed but unwise, at a place in the settings. The host
// shows it with file and line when it starts and on `realmgate validate`.
func Warn(ctx context.Context, summary string, path ...any) {
	if b, ok := ctx.Value(warnKey{}).(*warnBox); ok {
		b.mu.Lock()
		b.all = append(b.all, &Problem{Path: pointer(path), Summary: summary})
		b.mu.Unlock()
	}
}

// CollectWarnings gives a context for a constructor, and a function that lists what was said with Warn under it. The
// serving side and tests use it.
func CollectWarnings(ctx context.Context) (context.Context, func() []*Problem) {
	b := &warnBox{}
	return context.WithValue(ctx, warnKey{}, b), func() []*Problem {
		b.mu.Lock()
		defer b.mu.Unlock()
		return append([]*Problem(nil), b.all...)
	}
}
