package admin

import (
	"net/url"
	"strings"

	"github.com/realmgate/realmgate/host/connection"
)

// serveConnections hands a request below /v1/realms/{realm}/connections to the realm's service, on behalf of the operator.
// What stands behind it in the path belongs to that room.
func (h *handler) serveConnections(c *call) bool {
	after, ok := strings.CutPrefix(c.r.URL.EscapedPath(), "/v1/realms/")
	if !ok || h.Connections == nil {
		return false
	}
	name, rest, ok := strings.Cut(after, "/connections")
	if !ok || strings.Contains(name, "/") || rest != "" && rest[0] != '/' {
		return false
	}
	realm, err := url.PathUnescape(name)
	if err != nil {
		return false
	}
	c.realm = realm
	if !h.knows(realm) {
		h.fail(c, h.noRealm(realm))
		return true
	}
	s, err := h.Connections(realm)
	if err != nil {
		h.fail(c, err)
		return true
	}
	s.Serve(c.w, c.r, connection.Actor{Operator: true}, rest)
	return true
}
