package server

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// refusal is a request that does not come as far as a decision.
type refusal struct {
	status          int
	reason, message string
}

// realmOf finds the realm of a request: by its path, by its host, by the listener's realm header. Whatever names a realm
// has to name the same one, so that a caller cannot choose behind the back of the proxy. X-Forwarded-Host of a trusted
// proxy that speaks this dialect counts beside Host, not instead of it.
func realmOf(snap Snapshot, l Listener, r *http.Request, pathRealm string) (string, *refusal) {
	named := make([]string, 0, 4)
	if pathRealm != "" {
		named = append(named, pathRealm)
	}
	hosts := []string{r.Host}
	if dialects[l.Forwarded] == xForwarded && l.trusts(r) {
		host, ok, fault := told(r, xForwarded.host, isHost)
		if fault != nil {
			return "", fault
		}
		if ok {
			hosts = append(hosts, host)
		}
	}
	for _, h := range hosts {
		if h = hostName(h); !isHost(h) {
			continue
		}
		if realm, ok := snap.RealmOfHost(h); ok {
			named = append(named, realm)
		}
	}
	if l.RealmHeader != "" {
		named = append(named, r.Header.Values(l.RealmHeader)...)
	}
	if len(named) == 0 {
		return "", &refusal{http.StatusBadRequest, reasonRealmMissing, "the request names no realm"}
	}
	for _, n := range named[1:] {
		if n != named[0] {
			return "", &refusal{http.StatusBadRequest, reasonRealmAmbiguous, "the request names more than one realm"}
		}
	}
	if !isRealmName(named[0]) {
		return "", unknownRealm
	}
	return named[0], nil
}

var unknownRealm = &refusal{http.StatusNotFound, reasonRealmUnknown, "there is no such realm"}

// planOf gives the realm's plan. Why a realm is not served is for the log only.
func (s *Server) planOf(snap Snapshot, r *http.Request, realm string) (*pipeline.Plan, *refusal) {
	p, err := snap.Plan(realm)
	switch {
	case err == nil && p != nil:
		return p, nil
	case errors.Is(err, pipeline.ErrUnknownRealm):
		return nil, unknownRealm
	}
	s.deps.Logger.Warn("realm is not served", "request_id", sdk.RequestID(r.Context()), "realm", realm, "error", err)
	return nil, &refusal{http.StatusServiceUnavailable, reasonUnavailable, "the realm is not served at the moment"}
}

// hostName gives a host in lower case, without port, white space and the root's dot; an IPv6 address without brackets, in
// its one short form (RFC 5952), as the configuration has it.
func hostName(h string) string {
	if h = strings.TrimSpace(h); !isHost(h) { // no letter that is not ASCII may become one that is
		return ""
	}
	h = strings.ToLower(h)
	if rest, ok := strings.CutPrefix(h, "["); ok {
		h, _, _ = strings.Cut(rest, "]")
	} else if strings.Count(h, ":") == 1 {
		h, _, _ = strings.Cut(h, ":")
	}
	if h != "" && (h[0] >= '0' && h[0] <= '9' || strings.Contains(h, ":")) {
		if a, err := netip.ParseAddr(h); err == nil {
			return a.String()
		}
	}
	return strings.TrimSuffix(h, ".")
}
