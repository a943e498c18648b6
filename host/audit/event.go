package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"
)

// Kinds of event. Name is what was asked for; Outcome says what became of it.
const (
	TokenIssue      = "token.issue"
	TokenExchange   = "token.exchange"
	TokenRevoke     = "token.revoke"
	TokenIntrospect = "token.introspect"
	PrincipalCreate = "principal.create"
	PrincipalUpdate = "principal.update"
	PrincipalDelete = "principal.delete"
	SecretRotate    = "secret.rotate" // a new client secret beside the last one
	SecretReset     = "secret.reset"  // a new client secret instead of all others
	RoleCreate      = "role.create"
	RoleDelete      = "role.delete"
	RoleGrant       = "role.grant"
	RoleRevoke      = "role.revoke"
	RootCreate      = "root.create"      // the root principal of a realm, at its first start
	Decision        = "decision"         // at the forward-auth door, if configured
	DecisionExplain = "decision.explain" // to an operator; nobody is let in by it
	KeyPublish      = "key.publish"      // a key that tokens of the realm are accepted of, or will be
	KeySign         = "key.sign"         // a key begins to sign
	KeyRetire       = "key.retire"       // a key is no longer accepted

	ConnectionCreate      = "connection.create"
	ConnectionUpdate      = "connection.update"
	ConnectionDelete      = "connection.delete"
	ConnectionRotate      = "connection.rotate"  // one secret of it
	ConnectionRepoint     = "connection.repoint" // to another service identity
	ConnectionCredentials = "connection.credentials"
	ConnectionSign        = "connection.sign"
	ConnectionTest        = "connection.test"
	AccessKeyCreate       = "access_key.create"
	AccessKeyDelete       = "access_key.delete"
	StoredSecretRead      = "stored_secret.read" // by an operator, of a secret store
	StoredSecretWrite     = "stored_secret.write"
	StoredSecretDelete    = "stored_secret.delete"
	PluginRefused         = "plugin.refused" // a plugin asked the daemon for what it is not allowed

	ConfigReload = "config.reload" // of the whole daemon
)

// Outcomes of an event.
const (
	Attempted   = "attempted"   // a change is about to be made; another line follows
	Done        = "done"        // it happened
	Refused     = "refused"     // the caller is at fault
	Limited     = "limited"     // refused unheard: too many requests, or too many failures
	Failed      = "failed"      // we are at fault, or the change could not be made
	Unavailable = "unavailable" // no decision could be made
)

// Event is what a line tells. Time, request id, listener and peer are added from the context of the request.
type Event struct {
	Name          string    `json:"event"`
	Outcome       string    `json:"outcome"`
	Realm         string    `json:"realm,omitempty"`
	ClientID      string    `json:"client_id,omitempty"`   // of a client that the realm knows
	ClientHash    string    `json:"client_hash,omitempty"` // of one that it does not know
	PrincipalID   string    `json:"principal_id,omitempty"`
	Principal     string    `json:"principal,omitempty"` // name
	Role          string    `json:"role,omitempty"`
	TokenID       string    `json:"token_id,omitempty"`
	Scope         string    `json:"scope,omitempty"` // what was granted, never what was asked for
	SecretVersion string    `json:"secret_version,omitempty"`
	KeyID         string    `json:"key_id,omitempty"`     // kid
	AccessKey     string    `json:"access_key,omitempty"` // id
	Connection    string    `json:"connection,omitempty"` // name
	AuditID       string    `json:"audit_id,omitempty"`   // of the remote system's own log, for the credentials that it gave
	Reference     string    `json:"reference,omitempty"`  // to a secret in a store
	Plugin        string    `json:"plugin,omitempty"`     // name
	Part          string    `json:"part,omitempty"`       // of the plugin: kind(type)
	Against       string    `json:"against,omitempty"`    // where another configuration is that was built to explain a decision by it
	Change        string    `json:"change,omitempty"`     // what was changed, e.g. of a principal "enabled=false"
	Reason        string    `json:"reason,omitempty"`     // in snake case
	Detail        string    `json:"detail,omitempty"`     // for people
	Count         int       `json:"count,omitempty"`
	Since         time.Time `json:"since,omitzero"`
}

// line is what is written.
type line struct {
	Time      time.Time `json:"time"`
	RequestID string    `json:"request_id,omitempty"`
	Listener  string    `json:"listener,omitempty"`
	Client    string    `json:"client,omitempty"` // address of who asked, as far as trusted proxies tell
	Peer      string    `json:"peer,omitempty"`   // the other end of the connection
	Event
}

// hashBytes is how much of a client id's sum is kept.
const hashBytes = 8

// Client names the client of an event: by its id if the realm knows it, else by a hash.
func (e Event) Client(id string, known bool) Event {
	sum := sha256.Sum256([]byte(id)) // whether it is needed or not: the time must not tell which clients there are
	hash := "sha256:" + hex.EncodeToString(sum[:hashBytes])
	switch {
	case known:
		e.ClientID = id
	case id != "":
		e.ClientHash = hash
	}
	return e
}

// Bounds of a line's values in bytes. A scope may be long, and is worth having whole.
const (
	maxValue  = 1 << 10
	maxScope  = 4 << 10
	maxReason = 64
)

// bounded makes sure that no value is longer than it may be.
func (e Event) bounded() Event {
	for _, v := range []*string{
		&e.Name, &e.Outcome, &e.Realm, &e.ClientID, &e.ClientHash, &e.PrincipalID, &e.Principal, &e.Role, &e.TokenID, &e.SecretVersion, &e.Reference,
		&e.KeyID, &e.AccessKey, &e.Connection, &e.AuditID, &e.Plugin, &e.Part, &e.Against, &e.Change, &e.Detail,
	} {
		*v = bound(*v, maxValue)
	}
	e.Reason = bound(snake(e.Reason), maxReason)
	e.Scope = bound(e.Scope, maxScope)
	return e
}

// snake keeps what a reason is made of: a part of a third party may have made it out of what a caller sent.
func snake(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, s)
}

func bound(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return strings.ToValidUTF8(s[:limit], "\ufffd") + "…"
}
