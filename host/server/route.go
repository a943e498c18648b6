package server

import (
	"net/http"
	"strings"

	"github.com/realmgate/realmgate/host/token"
	"github.com/realmgate/realmgate/sdk"
)

// door is what a path leads to.
type door uint8

const (
	noDoor door = iota
	checkDoor
	tokenDoor
	healthDoor
	readyDoor
)

// Handler serves one listener's requests.
func (s *Server) Handler(l Listener) http.Handler {
	return s.guard(l, func(w http.ResponseWriter, r *http.Request) {
		d, realm, original := route(rawPath(r))
		switch d {
		case checkDoor:
			s.serveCheck(w, r, l, realm, original)
		case tokenDoor:
			s.serveToken(w, r, l, realm)
		case healthDoor, readyDoor:
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				w.Header().Set("Allow", "GET, HEAD")
				refuse(w, r, http.StatusMethodNotAllowed, reasonMethodNotAllowed, "GET and HEAD only")
				return
			}
			if d == healthDoor {
				writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
				return
			}
			s.serveReady(w, r)
		default:
			refuse(w, r, http.StatusNotFound, reasonNotFound, "there is nothing at this path")
		}
	})
}

// rawPath gives the path as it stands on the wire, without the query.
func rawPath(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		path, _, _ := strings.Cut(r.RequestURI, "?")
		return path
	}
	return r.URL.EscapedPath() // absolute form (RFC 9112 section 3.2.2), or a request that a test made
}

// route finds the door of a raw path. The first segments alone decide: dots, doubled slashes and escapes stay what they
// are, so nothing behind them can lead to another realm. original is what follows a check's path, for proxies that append
// the path they ask about.
func route(path string) (d door, realm, original string) {
	rest := path
	if after, ok := strings.CutPrefix(path, "/realms/"); ok {
		realm, rest, ok = strings.Cut(after, "/")
		if !ok || !isRealmName(realm) {
			return noDoor, "", ""
		}
		rest = "/" + rest
	}
	switch rest {
	case "/v1/check":
		return checkDoor, realm, ""
	case "/v1/oauth/tokens", "/v1/token":
		return tokenDoor, realm, ""
	}
	if after, ok := strings.CutPrefix(rest, "/v1/check/"); ok {
		return checkDoor, realm, "/" + after
	}
	switch path {
	case "/healthz":
		return healthDoor, "", ""
	case "/readyz":
		return readyDoor, "", ""
	}
	return noDoor, "", ""
}

// isRealmName says whether s may be a realm's name: letters, digits and ._-, 64 at most, and not a dot segment.
func isRealmName(s string) bool {
	return s != "" && len(s) <= 64 && s != "." && s != ".." && consistsOf(s, "._-")
}

// serveToken hands a token request to its realm's service. Refusals have the form that OAuth clients read.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request, l Listener, pathRealm string) {
	snap := s.deps.Current()
	if snap == nil {
		tokenUnavailable(w, r)
		return
	}
	realm, fault := realmOf(snap, l, r, pathRealm)
	if fault == nil {
		_, fault = s.planOf(snap, r, realm)
	}
	if fault != nil && fault.status < 500 {
		w.Header().Set(reasonHeader, fault.reason)
		token.WriteFault(w, fault.status, &token.Fault{Code: token.CodeInvalidRequest, Description: fault.message})
		return
	}
	if fault != nil {
		tokenUnavailable(w, r)
		return
	}
	svc, ok := snap.TokenService(realm)
	if !ok {
		w.Header().Set(reasonHeader, reasonTokenServiceDisabled)
		token.WriteDisabled(w)
		return
	}
	s.deps.Logger.Debug("token request", "request_id", sdk.RequestID(r.Context()), "realm", realm, "peer", r.RemoteAddr)
	svc.ServeHTTP(w, r)
}

func tokenUnavailable(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(reasonHeader, reasonUnavailable)
	token.WriteUnavailable(w, r)
}
