package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

// originalOf gives the request that is being decided. A trusted proxy tells about it in headers: X-Forwarded-Method, -Proto,
// -Host and -Uri, X-Original-Method and -Uri as nginx is configured to send, or by appending the path to the check's.
// What anybody else says in such headers is dropped, and the message is the request that came. net/http loses the order
// of fields: they are sorted by name, repeats in their order.
func originalOf(l Listener, r *http.Request, appended string) *sdk.HTTPMessage {
	m := &sdk.HTTPMessage{Method: r.Method, Scheme: "http", Host: r.Host, RawTarget: r.RequestURI}
	if r.TLS != nil {
		m.Scheme = "https"
	}
	if l.trusts(r) {
		if appended != "" {
			m.RawTarget = appended
			if _, query, ok := strings.Cut(r.RequestURI, "?"); ok {
				m.RawTarget += "?" + query
			}
		}
		told := func(to *string, valid func(string) bool, names ...string) {
			for _, n := range names {
				if v := r.Header.Values(n); len(v) == 1 && valid(v[0]) {
					*to = v[0]
					return
				}
			}
		}
		told(&m.Method, isMethod, "X-Forwarded-Method", "X-Original-Method")
		told(&m.RawTarget, isTarget, "X-Forwarded-Uri", "X-Original-Uri")
		told(&m.Scheme, isProto, "X-Forwarded-Proto")
		told(&m.Host, isHost, "X-Forwarded-Host")
	}
	for name, values := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-forwarded-") || strings.HasPrefix(name, "x-original-") {
			continue
		}
		for _, v := range values {
			m.Header = append(m.Header, sdk.Header{Name: name, Value: v})
		}
	}
	slices.SortStableFunc(m.Header, func(a, b sdk.Header) int { return strings.Compare(a.Name, b.Name) })
	return m
}

func isMethod(s string) bool { return s != "" && len(s) <= 32 && consistsOf(s, "-_") }
func isTarget(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.Contains(s, " ") && isText(s)
}
func isProto(s string) bool { return s == "http" || s == "https" }
func isHost(s string) bool  { return s != "" && len(s) <= 255 && consistsOf(s, "-._:[]") }
