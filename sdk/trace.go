package sdk

import "context"

type traceKey struct{}

// WithTraceParent attaches the trace that a request belongs to, as the value of a traceparent header (W3C Trace Context, section
// 3.2). One that is not well-formed, or all zeros, is left out.
func WithTraceParent(ctx context.Context, traceparent string) context.Context {
	if !isTraceParent(traceparent) {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, traceparent)
}

// TraceParent gives the trace that the request that is being served belongs to, for whatever is asked on its behalf; empty if it
// belongs to none.
func TraceParent(ctx context.Context) string {
	t, _ := ctx.Value(traceKey{}).(string)
	return t
}

// TraceID gives the id of the trace in 32 hexadecimal digits, for logs; empty if there is none.
func TraceID(ctx context.Context) string {
	if t := TraceParent(ctx); t != "" {
		return t[3:35]
	}
	return ""
}

// isTraceParent says whether s is a traceparent of version 00: 00-<trace>-<parent>-<flags>.
func isTraceParent(s string) bool {
	if len(s) != 55 || s[:3] != "00-" || s[35] != '-' || s[52] != '-' {
		return false
	}
	return isID(s[3:35]) && isID(s[36:52]) && isHex(s[53:])
}

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
