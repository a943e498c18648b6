package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// Problems lists the faults that err is about; what has no place stands at the whole block. A join (of errors.Join) is as many
// as its errors are. An error that wraps another one with words of its own keeps them: in front of, and behind, each fault that
// has a place below it.
func Problems(err error) []*Problem {
	if err == nil {
		return nil
	}
	if p, ok := err.(*Problem); ok { //nolint:errorlint // what is wrapped comes below
		return []*Problem{{Path: p.Path, Summary: p.Summary, Sensitive: p.Sensitive, cause: err}}
	}
	text, below := err.Error(), wrapped(err)
	if isJoin(err, text, below) {
		var out []*Problem
		for _, x := range below {
			out = append(out, Problems(x)...)
		}
		return out
	}
	var out []*Problem
	placed := false
	for _, x := range below {
		for _, p := range Problems(x) {
			placed = placed || p.Path != "" || p.Sensitive
			out = append(out, &Problem{Path: p.Path, Summary: instead(text, x.Error(), p.Summary), Sensitive: p.Sensitive, cause: err})
		}
	}
	if !placed {
		return []*Problem{{Summary: text, cause: err}}
	}
	return out
}

// wrapped gives what an error says that it wraps.
func wrapped(err error) []error {
	switch x := err.(type) { //nolint:errorlint // one level of it
	case interface{ Unwrap() error }:
		if w := x.Unwrap(); w != nil {
			return []error{w}
		}
	case interface{ Unwrap() []error }:
		return slices.DeleteFunc(slices.Clone(x.Unwrap()), func(err error) bool { return err == nil })
	}
	return nil
}

// isJoin says whether an error of several has no words but theirs, a line for each, as one of errors.Join has.
func isJoin(err error, text string, below []error) bool {
	if _, several := err.(interface{ Unwrap() []error }); !several {
		return false
	}
	lines := make([]string, 0, len(below))
	for _, x := range below {
		lines = append(lines, x.Error())
	}
	return text == strings.Join(lines, "\n")
}

// instead puts other words where a text repeats some; as it is if it does not.
func instead(text, repeated, words string) string {
	if before, after, ok := strings.Cut(text, repeated); ok && repeated != "" {
		return before + words + after
	}
	return text
}

type warnKey struct{}

type warnBox struct {
	mu  sync.Mutex
	all []*Problem
}

// Warn lets a constructor tell the operator of something that is allowed but unwise: sdk.Warn(ctx, sdk.At(errors.New("..."), "key")).
// It takes what a constructor would return if it were not allowed, so that places and joins are the same. The host shows it with
// file and line when it starts and on `realmgate validate`. Outside a constructor, and of nil, nothing happens.
func Warn(ctx context.Context, unwise error) {
	if b, ok := ctx.Value(warnKey{}).(*warnBox); ok {
		b.mu.Lock()
		b.all = append(b.all, Problems(unwise)...)
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
