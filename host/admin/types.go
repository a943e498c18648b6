package admin

import (
	"fmt"
	"time"
)

// Principal is a principal as the API shows it; it has no secret.
type Principal struct {
	ID             string            `json:"id"`
	Name           string            `json:"name"`
	ClientID       string            `json:"client_id,omitempty"`
	Enabled        bool              `json:"enabled"`
	Roles          []string          `json:"roles"` // granted
	Attributes     map[string]string `json:"attributes,omitempty"`
	SecretVersions []string          `json:"secret_versions"` // valid ones, oldest first
	Created        time.Time         `json:"created"`
	Updated        time.Time         `json:"updated"`
	Version        int64             `json:"version"` // moves with every change
}

// NewPrincipal asks for a principal.
type NewPrincipal struct {
	ID            string            `json:"id,omitempty"` // empty: a random one
	Name          string            `json:"name"`
	Attributes    map[string]string `json:"attributes,omitempty"`
	Roles         []string          `json:"roles,omitempty"` // granted at once; they have to exist
	WithoutSecret bool              `json:"without_secret,omitempty"`
}

// CreatedPrincipal is the answer to a creation; Credentials is nil for a principal without a secret.
type CreatedPrincipal struct {
	Principal   Principal    `json:"principal"`
	Credentials *Credentials `json:"credentials,omitempty"`
}

// Credentials are a client id and its new secret in clear. They are shown once and kept nowhere.
type Credentials struct {
	ClientID      string `json:"client_id"`
	ClientSecret  string `json:"client_secret"`
	SecretVersion string `json:"secret_version"`
}

// String hides the secret.
func (c Credentials) String() string { return c.ClientID + ":[secret]" }

// GoString hides the secret from %#v.
func (c Credentials) GoString() string { return c.String() }

// AccessKey is a key with which a principal signs requests; it has no secret.
type AccessKey struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
}

// NewAccessKey is a new access key with its secret in clear. It is shown once.
type NewAccessKey struct {
	AccessKey
	Secret string `json:"secret"`
}

// String hides the secret.
func (k NewAccessKey) String() string { return k.ID + ":[secret]" }

// GoString hides the secret from %#v.
func (k NewAccessKey) GoString() string { return k.String() }

// PrincipalUpdate changes what it sets. With a Version other than 0 the change is refused (409) if the principal has moved on.
type PrincipalUpdate struct {
	Enabled    *bool              `json:"enabled,omitempty"`
	Attributes *map[string]string `json:"attributes,omitempty"` // all of them
	Version    int64              `json:"version,omitempty"`
}

// Role is a principal role.
type Role struct {
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Created    time.Time         `json:"created"`
	Updated    time.Time         `json:"updated"`
	Version    int64             `json:"version"`
}

// NewRole asks for a role.
type NewRole struct {
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Page chooses a part of a list: names behind After, at most Limit (0: the server's default).
type Page struct {
	After string
	Limit int
}

// Principals is a page of principals; Next, if not empty, is the After of the next one.
type Principals struct {
	Principals []Principal `json:"principals"`
	Next       string      `json:"next,omitempty"`
}

// Roles is a page of roles; Next, if not empty, is the After of the next one.
type Roles struct {
	Roles []Role `json:"roles"`
	Next  string `json:"next,omitempty"`
}

// Realm is a configured realm and whether it is served.
type Realm struct {
	Name   string `json:"name"`
	Type   string `json:"type"` // internal, external or mixed
	Tenant string `json:"tenant,omitempty"`
	Served bool   `json:"served"`
	Reason string `json:"reason,omitempty"` // why it is not served
}

// Plugin is a plugin process.
type Plugin struct {
	Name            string           `json:"name"`
	For             string           `json:"for,omitempty"` // realm NAME or secret store NAME, of a plugin with a process for each
	Version         string           `json:"version,omitempty"`
	Path            string           `json:"path,omitempty"`
	Digest          string           `json:"sha256,omitempty"` // of what runs
	State           string           `json:"state"`            // starting, ready, failing, backing off, draining, stopped or failed
	Since           time.Time        `json:"since"`            // when the state began
	Serves          bool             `json:"serves"`           // the configuration that serves has its parts in this process
	PID             int              `json:"pid,omitempty"`
	Restarts        int              `json:"restarts"`
	Instances       int              `json:"instances"`
	Calls           int              `json:"calls"`           // under way
	Stuck           int              `json:"stuck,omitempty"` // that were given up and have not ended for a second
	BreakerOpen     bool             `json:"breaker_open,omitempty"`
	ClosedTo        []string         `json:"closed_to,omitempty"` // "realm NAME", "secret store NAME": their calls are answered without asking it
	Implementations []Implementation `json:"implementations,omitempty"`
	Outbound        []Outbound       `json:"outbound,omitempty"` // of the parts that ever left another server alone
	Reason          string           `json:"reason,omitempty"`   // the last error, also of one that is well again
	ReasonTime      *time.Time       `json:"reasonTime,omitempty"`
}

// Implementation is one of the (kind, type) pairs that a plugin offers.
type Implementation struct {
	Kind string `json:"kind"`
	Type string `json:"type"`
}

// Outbound is about the other servers that a part of a plugin calls.
type Outbound struct {
	Part     string      `json:"part"`     // a name that the plugin gives, usually the type
	Openings uint64      `json:"openings"` // how often one of them began to be left alone, since the process began
	Open     int         `json:"open"`     // how many are now, since they failed again and again
	Servers  []LeftAlone `json:"servers,omitempty"`
	// Overlooked is how often one was called that is not looked after, since too many others are left alone.
	Overlooked uint64 `json:"overlooked,omitempty"`
}

// LeftAlone is a server that is left alone for a while, but for one request that is tried now and then.
type LeftAlone struct {
	Server string    `json:"server"` // scheme://host:port, or a name, e.g. "the default credential chain"
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"` // what was wrong with it last
}

// Codes of an Error.
const (
	CodeInvalid          = "invalid"   // 400; Field names the culprit where there is one
	CodeNotFound         = "not_found" // 404
	CodeMethodNotAllowed = "method_not_allowed"
	CodeExists           = "exists"       // 409
	CodeConflict         = "conflict"     // 409: the version is not the current one
	CodeRefused          = "refused"      // 409: the daemon does not take its configuration
	CodeTooLarge         = "too_large"    // 413
	CodeInternal         = "internal"     // 500; the log says more
	CodeStoreFailed      = "store_failed" // 502: a secret store did not do what was asked of it
	CodeStopping         = "stopping"     // 503: the daemon stops, and takes no configuration any more or watches the plugins of a new one no longer
	CodeUnaudited        = "unaudited"    // 503: the audit log cannot be written, and so nothing was changed
	CodeUnavailable      = "unavailable"  // 503: a store does not answer
)

// Error is a refusal of the API.
type Error struct {
	Status  int    `json:"-"` // HTTP status
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
}

// Error gives message and field.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return fmt.Sprintf("%s: %s", e.Field, e.Message)
}

type errorBody struct {
	Error *Error `json:"error"`
}
