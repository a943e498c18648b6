package sdk

import "context"

// Trace is the trace that a request belongs to, as the value of a traceparent header (W3C Trace Context, section 3.2); empty: none.
type Trace string

// ParseTrace gives the trace of a traceparent of version 00, 00-<trace>-<parent>-<flags>; none if it is not well-formed, or all zeros.
func ParseTrace(traceparent string) Trace {
	s := traceparent
	if len(s) != 55 || s[:3] != "00-" || s[35] != '-' || s[52] != '-' || !isID(s[3:35]) || !isID(s[36:52]) || !isHex(s[53:]) {
		return ""
	}
	return Trace(s)
}

// ID gives the id of the trace in 32 hexadecimal digits, for logs; empty if there is none.
func (t Trace) ID() string {
	if t == "" {
		return ""
	}
	return string(t[3:35])
}

type traceKey struct{}

// WithTraceParent attaches the trace that a request belongs to, see [ParseTrace].
func WithTraceParent(ctx context.Context, traceparent string) context.Context {
	t := ParseTrace(traceparent)
	if t == "" {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, t)
}

func traceOf(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}

// TraceParent gives the trace that the request that is being served belongs to, for whatever is asked on its behalf; empty if it
// belongs to none.
func TraceParent(ctx context.Context) string { return string(traceOf(ctx)) }

// TraceID gives the id of that trace, see [Trace.ID].
func TraceID(ctx context.Context) string { return traceOf(ctx).ID() }

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// isID says whether s is hexadecimal and not all zeros.
func isID(s string) bool {
	for i := range len(s) {
		if s[i] != '0' {
			return isHex(s)
		}
	}
	return false
}
