package server

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/sdk"
)

// Headers of a check's answer. The first four are on every 200, and values are percent-encoded.
const (
	principalHeader   = "Realmgate-Principal"    // name
	principalIDHeader = "Realmgate-Principal-Id" // id
	rolesHeaderName   = "Realmgate-Roles"        // active roles, sorted, separated by commas, without a prefix
	realmHeaderName   = "Realmgate-Realm"
	reasonHeader      = "Realmgate-Reason" // on every other answer
)

// maxRolesHeader bounds Realmgate-Roles; what proxies take by default is less.
const maxRolesHeader = 32 << 10

// allowance is the body of a 200.
type allowance struct {
	Realm     string           `json:"realm"`
	Tenant    string           `json:"tenant,omitempty"`
	Source    string           `json:"source"`
	Principal allowedPrincipal `json:"principal"`
	Roles     []string         `json:"roles"`
	ExpiresAt *time.Time       `json:"expires_at,omitempty"`
	RequestID string           `json:"request_id"`
}

type allowedPrincipal struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// answer writes a decision.
func answer(w http.ResponseWriter, r *http.Request, d pipeline.Decision) {
	switch d.Verdict {
	case pipeline.Allowed:
		allow(w, r, d)
	case pipeline.Denied:
		deny(w, r, d)
	default:
		unavailable(w, r)
	}
}

func allow(w http.ResponseWriter, r *http.Request, d pipeline.Decision) {
	h := w.Header()
	h.Set(principalHeader, encode(d.Principal.Name))
	h.Set(principalIDHeader, encode(d.Principal.ID))
	h.Set(rolesHeaderName, rolesHeader(d.Roles))
	h.Set(realmHeaderName, encode(d.Realm))
	a := allowance{
		Realm: d.Realm, Tenant: d.Tenant, Source: d.Source.String(), Roles: sorted(d.Roles), RequestID: sdk.RequestID(r.Context()),
		Principal: allowedPrincipal{d.Principal.ID, d.Principal.Name, d.Principal.Attributes},
	}
	if !d.Expires.IsZero() {
		utc := d.Expires.UTC()
		a.ExpiresAt = &utc
	}
	writeJSON(w, http.StatusOK, a)
}

func sorted(roles []string) []string {
	out := append([]string{}, roles...)
	slices.Sort(out)
	return out
}

func rolesHeader(roles []string) string {
	out := sorted(roles)
	for i, r := range out {
		out[i] = encode(r)
	}
	return strings.Join(out, ",")
}

// encode percent-encodes every byte but the unreserved characters of RFC 3986, so that no name can be taken for another,
// for a list, or for the end of a header.
func encode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; consistsOf(s[i:i+1], "-._~") {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// deny writes a no: 401 with challenges (RFC 6750 section 3), or 403.
func deny(w http.ResponseWriter, r *http.Request, d pipeline.Decision) {
	reason, detail, forbidden := public(d.Denial)
	status, challenge := http.StatusUnauthorized, `Bearer realm="`+encode(d.Realm)+`"`
	switch {
	case forbidden:
		status = http.StatusForbidden
		challenge += `, error="insufficient_scope", error_description="` + reason + `"`
	case d.Denial != missing:
		challenge += `, error="invalid_token", error_description="` + reason + `"`
	}
	h := w.Header()
	if !forbidden || reason == reasonRoleNotGranted {
		h.Add("WWW-Authenticate", challenge)
	}
	if d.Denial != nil {
		for _, c := range challenges(d.Denial.Challenge) {
			h.Add(c.Name, c.Value)
		}
	}
	refuse(w, r, status, reason, detail)
}

// Bounds on what a denial may say.
const (
	maxReason     = 64
	maxDetail     = 256
	maxChallenges = 8
	maxChallenge  = 1024
)

// public gives what the caller may read of a denial: a reason in snake case, and a detail without control characters.
func public(d *sdk.Denial) (reason, detail string, forbidden bool) {
	if d == nil {
		return reasonDenied, "", true
	}
	reason = strings.Map(func(c rune) rune {
		if c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, d.Reason)
	if reason = reason[:min(len(reason), maxReason)]; reason == "" {
		reason = reasonDenied
	}
	return reason, cleaned(d.Detail), d.Forbidden
}

func cleaned(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < 0x20 || c >= 0x7f && c < 0xa0 || c == 0x2028 || c == 0x2029 {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s[:min(len(s), 4*maxDetail)], ""))
	if len(s) > maxDetail {
		s = strings.ToValidUTF8(s[:maxDetail], "") // not in the midst of a character
	}
	return s
}

// challenges keeps what may stand in an answer: challenges and nonces, whole, bounded, on one line. A plugin cannot set
// an identity header this way.
func challenges(list []sdk.Header) []sdk.Header {
	var out []sdk.Header
	for _, c := range list {
		switch strings.ToLower(c.Name) {
		case "www-authenticate", "dpop-nonce":
			if c.Value != "" && len(c.Value) <= maxChallenge && isText(c.Value) && len(out) < maxChallenges {
				out = append(out, c)
			}
		}
	}
	return out
}

type refusalBody struct {
	Error struct {
		Reason    string `json:"reason"`
		Message   string `json:"message,omitempty"`
		RequestID string `json:"request_id"`
	} `json:"error"`
}

// refuse writes an answer that lets nobody in.
func refuse(w http.ResponseWriter, r *http.Request, status int, reason, message string) {
	w.Header().Set(reasonHeader, reason)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	var b refusalBody
	b.Error.Reason, b.Error.Message, b.Error.RequestID = reason, message, sdk.RequestID(r.Context())
	writeJSON(w, status, b)
}

// unavailable says that we are at fault, and nothing else.
func unavailable(w http.ResponseWriter, r *http.Request) {
	refuse(w, r, http.StatusServiceUnavailable, reasonUnavailable, "no decision can be made at the moment")
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // a caller that has gone needs no answer
}
