package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// ErrUnavailable is in the chain of every error of a call whose plugin does not run at the moment.
var ErrUnavailable = errors.New("unavailable")

// errClosed answers what is asked of a closed catalog.
var errClosed = errors.New("the catalog is closed")

// answerError is what went wrong between the host and a plugin, in a text that is safe. Kinds tell what it is.
type answerError struct {
	text  string
	kinds []error
}

func (e *answerError) Error() string   { return e.text }
func (e *answerError) Unwrap() []error { return e.kinds }

// clean takes an error from rpc into the catalog: its text, which a plugin may have written, is made safe once for all
// that read it; hide takes out of it what the host knows to be secret. Denials stay denials, failures failures; of the rest only the kinds stay that callers tell apart.
func (c *Catalog) clean(err error, hide func(string) string) error {
	if err == nil {
		return nil
	}
	if d := sdk.AsDenial(err); d != nil {
		out := *d
		out.Detail = c.safe(hide(d.Detail))
		if hide(d.Reason) != d.Reason {
			out.Reason = "unspecified"
		}
		out.Challenge = slices.Clone(d.Challenge)
		for n, f := range out.Challenge {
			out.Challenge[n].Value = hide(f.Value)
		}
		return &out
	}
	out := &answerError{text: c.safe(hide(err.Error()))}
	for _, kind := range []error{rpc.ErrLost, rpc.ErrRepeatable, rpc.ErrNoEffect, context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, kind) {
			out.kinds = append(out.kinds, kind)
		}
	}
	if f, ok := errors.AsType[*rpc.Failure](err); ok {
		out.kinds = append(out.kinds, &rpc.Failure{Code: f.Code, Message: out.text})
	}
	return out
}

// asIs is for errors that no instance has its word in.
func asIs(text string) string { return text }

// The reasons of a [StartError] beside those for which a process is refused.
const (
	ReasonDescribe child.Reason = "describe" // it does not say what it offers
	ReasonClash    child.Reason = "clash"    // it offers what another plugin offers already, or has its name
	ReasonChanged  child.Reason = "changed"  // after a restart it no longer offers what is in use
	ReasonUnwell   child.Reason = "unwell"   // it started, and did not stay well, see [Set.Healthy]
)

// StartError says why a plugin could not be started. Its text is one line.
type StartError struct {
	Plugin, Path string
	For          string // whom the process is for, see [Status]; empty: nobody
	Reason       child.Reason
	Detail       string // a predicate: "the file does not exist"
	Err          error  // what caused it; may be nil
}

// Error names plugin and path once, and the cause.
func (e *StartError) Error() string {
	s := Source{Name: e.Plugin, owner: e.For}
	return fmt.Sprintf("plugin %s: %s: %s", s.title(), e.Path, e.Detail)
}

// Unwrap gives the cause.
func (e *StartError) Unwrap() error { return e.Err }

// UnknownTypeError says that no running plugin offers what is asked for.
type UnknownTypeError struct {
	Kind   sdk.Kind
	Type   string
	Known  []string // types of the kind that are offered, sorted
	Broken []string // names of plugins that did not start, sorted: one of them may be the one that is missed; [Set.Failed] says why
}

// Error names the types that there are, and the plugins that failed.
func (e *UnknownTypeError) Error() string {
	var b strings.Builder
	article := "a"
	if strings.IndexAny(e.Kind.String(), "aeiou") == 0 {
		article = "an"
	}
	fmt.Fprintf(&b, "no plugin offers %s %v of type %q", article, e.Kind, e.Type)
	if len(e.Known) > 0 {
		fmt.Fprintf(&b, "; there are %s", strings.Join(e.Known, ", "))
	}
	switch len(e.Broken) {
	case 0:
	case 1:
		fmt.Fprintf(&b, "; plugin %s did not start", e.Broken[0])
	default:
		fmt.Fprintf(&b, "; plugins %s did not start", strings.Join(e.Broken, ", "))
	}
	return b.String()
}
