package server

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/realmgate/realmgate/host/origin"
	"github.com/realmgate/realmgate/sdk"
)

const requestIDHeader = "X-Request-Id"

// guard is what surrounds every request: an id, a line in the log, and a panic that ends nothing but the request.
func (s *Server) guard(l Listener, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := requestID(l, r)
		ctx := sdk.WithRequestID(r.Context(), id)
		if t := r.Header["Traceparent"]; len(t) == 1 && l.trusts(r) {
			ctx = sdk.WithTraceParent(ctx, t[0])
		}
		var speaksFor []string
		if l.Forwarded != ForwardedNone {
			speaksFor = r.Header.Values("X-Forwarded-For")
		}
		r = r.WithContext(origin.With(ctx, origin.New(l.Name, r.RemoteAddr, speaksFor, l.TrustedProxies)))
		w.Header().Set(requestIDHeader, id)
		rec := &recorder{ResponseWriter: w}
		start := time.Now()
		defer func() {
			if p := recover(); p != nil {
				s.deps.Logger.Error("request panicked", "request_id", id, "panic", p, "stack", string(debug.Stack()))
				if rec.status != 0 {
					panic(http.ErrAbortHandler) // an answer has begun: cut it off rather than end it as if it were whole
				}
				if d, _, _ := route(rawPath(r)); d == tokenDoor {
					tokenUnavailable(rec, r)
				} else {
					unavailable(rec, r)
				}
			}
			if s.deps.Logger.IsDebug() {
				s.deps.Logger.Debug("request", "request_id", id, "listener", l.Name, "peer", r.RemoteAddr, "method", r.Method,
					"path", r.URL.EscapedPath(), "status", rec.status, "took", time.Since(start))
			}
		}()
		next(rec, r)
	})
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the status.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write begins an answer of 200 if none has begun.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// requestID takes a trusted proxy's id if it is sane, and makes one otherwise: 128 random bits in hex.
func requestID(l Listener, r *http.Request) string {
	if ids := r.Header.Values(requestIDHeader); len(ids) == 1 && saneID(ids[0]) && l.trusts(r) {
		return ids[0]
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func saneID(s string) bool {
	return len(s) >= 8 && len(s) <= 128 && idBytes.of(s)
}

// trusts says whether the peer of a request is one of the listener's trusted proxies.
func (l Listener) trusts(r *http.Request) bool {
	if len(l.TrustedProxies) == 0 {
		return false
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	addr = addr.Unmap().WithZone("")
	for _, p := range l.TrustedProxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
