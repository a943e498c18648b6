package server

import (
	"net/http"
	"slices"
	"strings"

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
	slices.Sort(d.Roles) // ours alone
	p := pages.Get().(*page)
	defer p.back()
	p.setHeaders(w.Header(),
		principalHeader, encode(d.Principal.Name), principalIDHeader, encode(d.Principal.ID), rolesHeaderName, encodeAll(d.Roles), realmHeaderName, encode(d.Realm))
	p.allow(d, sdk.RequestID(r.Context()))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(p.text.Bytes()) // a caller that has gone ends it
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
	p := pages.Get().(*page)
	defer p.back()
	p.setHeaders(w.Header())
	p.write(w, status, v)
}
