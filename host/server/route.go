package server

import (
	"cmp"
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
	revokeDoor
	introspectDoor
	keysDoor
	metadataDoor
	connectionsDoor
	healthDoor
	readyDoor
)

// Handler serves one listener's requests.
func (s *Server) Handler(l Listener) http.Handler {
	return s.guard(l, func(w http.ResponseWriter, r *http.Request) {
		d, realm, rest := route(rawPath(r))
		switch d {
		case checkDoor:
			s.serveCheck(w, r, l, realm, rest)
		case tokenDoor, revokeDoor, introspectDoor, keysDoor, metadataDoor:
			s.serveToken(w, r, l, realm, d)
		case connectionsDoor:
			s.serveConnections(w, r, l, realm, rest)
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
// are, so nothing behind them can lead to another realm. behind is what follows: a check's path, for proxies that append the
// path they ask about, and that of the connections.
func route(path string) (d door, realm, behind string) {
	rest := path
	if after, ok := strings.CutPrefix(path, "/realms/"); ok {
		realm, rest, ok = strings.Cut(after, "/")
		if !ok || !isRealmName(realm) {
			return noDoor, "", ""
		}
		rest = path[len(path)-len(rest)-1:]
	}
	switch rest {
	case "/v1/check":
		return checkDoor, realm, ""
	case token.TokenPath, "/v1/token":
		return tokenDoor, realm, ""
	case token.RevokePath:
		return revokeDoor, realm, ""
	case token.IntrospectPath:
		return introspectDoor, realm, ""
	case token.KeysPath:
		return keysDoor, realm, ""
	case openIDMetadata, oauthMetadata:
		return metadataDoor, realm, ""
	}
	// RFC 8414 section 3.1 puts the well-known part before the path of the issuer.
	if name, ok := strings.CutPrefix(path, oauthMetadata+"/realms/"); ok && isRealmName(name) {
		return metadataDoor, name, ""
	}
	if after, ok := strings.CutPrefix(rest, "/v1/check/"); ok {
		return checkDoor, realm, "/" + after
	}
	if after, ok := strings.CutPrefix(rest, "/v1/connections"); ok && (after == "" || after[0] == '/') {
		return connectionsDoor, realm, after
	}
	switch path {
	case "/healthz":
		return healthDoor, "", ""
	case "/readyz":
		return readyDoor, "", ""
	}
	return noDoor, "", ""
}

// Where clients look for metadata: OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3.
const (
	openIDMetadata = "/.well-known/openid-configuration"
	oauthMetadata  = "/.well-known/oauth-authorization-server"
)

// isRealmName says whether s may be a realm's name: letters, digits and ._-, 64 at most, and not a dot segment.
func isRealmName(s string) bool {
	return s != "" && len(s) <= 64 && s != "." && s != ".." && realmBytes.of(s)
}

// serveToken hands a request to its realm's token service. Refusals have the form that OAuth clients read.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request, l Listener, pathRealm string, d door) {
	snap, leave := s.deps.Enter()
	defer leave()
	if snap == nil {
		tokenUnavailable(w, r)
		return
	}
	realm, fault := realmOf(snap, l, r, pathRealm)
	if fault == nil {
		_, fault = s.planOf(snap, r, realm)
	}
	public := d == keysDoor || d == metadataDoor
	if s.deps.Meter != nil && !public && (fault == nil || fault.status >= 500) {
		rec := &recorder{ResponseWriter: w}
		w = rec
		defer s.measureToken(realm, d, rec)
	}
	switch {
	case fault == nil:
	case fault.status >= 500:
		tokenUnavailable(w, r)
		return
	case public:
		refuse(w, r, fault.status, fault.reason, fault.message)
		return
	default:
		w.Header().Set(reasonHeader, fault.reason)
		token.WriteFault(w, fault.status, &token.Fault{Code: token.CodeInvalidRequest, Description: fault.message})
		return
	}
	svc, ok := snap.TokenService(realm)
	switch {
	case ok:
	case public: // there is nothing to be found out about
		refuse(w, r, http.StatusNotFound, reasonTokenServiceDisabled, "this realm issues no tokens")
		return
	default:
		w.Header().Set(reasonHeader, reasonTokenServiceDisabled)
		token.WriteDisabled(w)
		return
	}
	s.deps.Logger.Debug("token request", "request_id", sdk.RequestID(r.Context()), "realm", realm, "peer", r.RemoteAddr)
	switch d {
	case revokeDoor:
		svc.ServeRevoke(w, r)
	case introspectDoor:
		svc.ServeIntrospect(w, r)
	case keysDoor:
		svc.ServeKeys(w, r)
	case metadataDoor:
		svc.ServeMetadata(w, r)
	default:
		svc.ServeHTTP(w, r)
	}
}

// measureToken counts what was answered at a door of the token service. Where nothing was, a panic ends in a 503.
func (s *Server) measureToken(realm string, d door, rec *recorder) {
	names := map[door]string{tokenDoor: "token", revokeDoor: "revoke", introspectDoor: "introspect"}
	s.deps.Meter.Answered(realm, names[d], cmp.Or(rec.status, http.StatusServiceUnavailable))
}

func tokenUnavailable(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(reasonHeader, reasonUnavailable)
	token.WriteUnavailable(w, r)
}
