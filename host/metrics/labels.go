package metrics

import (
	"slices"
	"sync"
)

// Other is the label of what has none of its own. No realm can have it for a name.
const Other = "(other)"

// MaxRealms is how many realms have series of their own: those that come first, in the order of what is measured.
const MaxRealms = 1000

// realms knows the realms that have series.
type realms struct {
	mu    sync.RWMutex
	named map[string]bool
}

// label gives the label of a realm.
func (r *realms) label(name string) string {
	r.mu.RLock()
	ok, full := r.named[name], len(r.named) >= MaxRealms
	r.mu.RUnlock()
	switch {
	case ok:
		return name
	case full:
		return Other
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.named[name] && len(r.named) >= MaxRealms { // meanwhile
		return Other
	}
	r.named[name] = true
	return name
}

// keep forgets all realms but these, and gives those that it forgot.
func (r *realms) keep(names []string) (gone []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	stay := make(map[string]bool, len(names))
	for _, n := range names {
		stay[n] = true
	}
	for n := range r.named {
		if !stay[n] {
			gone = append(gone, n)
			delete(r.named, n)
		}
	}
	slices.Sort(gone)
	return gone
}

// reasons are those that docs/http.md lists for decisions, and those of the bundled parts. Any other one may be anything: a
// part could write a name into it.
var reasons = []string{
	"access_key_unknown", "account_not_allowed", "action_not_allowed", "algorithm_not_allowed", "audience_mismatch", "audience_missing",
	"auth_path_not_allowed", "authorized_party_mismatch", "claim_invalid", "claim_missing", "credential_missing", "denied", "endpoint_not_allowed",
	"entity_disabled", "entity_missing", "header_missing", "header_not_allowed", "header_not_signed", "issuer_mismatch", "key_unknown",
	"lifetime_too_long", "method_not_allowed", "namespace_mismatch", "parameter_not_allowed", "payload_hash", "payload_hash_missing",
	"payload_mismatch", "payload_not_signed", "policy_missing", "presigned_not_allowed", "principal_disabled", "principal_mismatch",
	"principal_unknown", "proof_refused", "realm_mismatch", "request_invalid", "request_malformed", "role_limit_exceeded", "role_not_assumed",
	"role_not_granted", "scope_mismatch", "session_token_not_allowed", "signature_invalid", "signature_replayed", "token_bound", "token_expired",
	"token_inactive", "token_limited", "token_malformed", "token_not_recognised", "token_not_yet_valid", "token_opaque", "token_revoked",
	"token_root", "token_too_large", "type_not_allowed",
}

// known gives a reason that may be a label.
func known(reason string) string {
	if reason == "" {
		return ""
	}
	if _, ok := slices.BinarySearch(reasons, reason); ok {
		return reason
	}
	return Other
}
