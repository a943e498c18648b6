package sdk

import (
	"encoding/json"
	"time"
)

// Header is one header field; Name is lower case, Value as it was received.
type Header struct{ Name, Value string }

// HTTPMessage is the request that is being decided, not the one that carried the question.
type HTTPMessage struct {
	Method, Scheme, Host string
	RawTarget            string   // path and query exactly as on the wire: never decoded, never cleaned
	Header               []Header // order and repeats as on the wire
	BodySHA256           string   // hex; empty unless the server saw the body itself
}

// Values gives all values of a header field; name is lower case.
func (m *HTTPMessage) Values(name string) []string {
	var out []string
	for _, h := range m.Header {
		if h.Name == name {
			out = append(out, h.Value)
		}
	}
	return out
}

// Request is what a caller presented.
type Request struct {
	Realm           string
	Scheme          string // authentication scheme (RFC 9110 section 11.1), lower case
	Token           string
	Peer            string       // host:port, for limits and logs: a decision that depends on it must not be remembered, see NoCache
	PeerCertificate []byte       // DER, verified by the listener; nil without one
	HTTP            *HTTPMessage // nil unless the implementation was registered with NeedsHTTP
}

// Identity is a foreign identity that was verified.
type Identity struct {
	Tenant, Issuer, Subject string
	Audience                []string
	TokenID                 string
	Claims                  *Claims
	Roles                   []string
	AuthTime                time.Time // zero: unknown
	Expires                 time.Time // clock skew included; zero: unknown
}

// PrincipalRef names a principal by id, name or both.
type PrincipalRef struct{ ID, Name string }

// Source says on which side of a realm a credential was verified.
type Source uint8

// The sources, numbered as in the contract's enum Credential.Source.
const (
	SourceInternal Source = 1 + iota
	SourceExternal
)

// String gives "internal" or "external".
func (s Source) String() string {
	switch s {
	case SourceInternal:
		return "internal"
	case SourceExternal:
		return "external"
	}
	return "unknown"
}

// Credential is what a realm understands: a token of its own, or a foreign identity after both mappers.
type Credential struct {
	Realm          string
	Source         Source
	Principal      PrincipalRef
	RequestedRoles []string // with their prefix
	Issuer         string
	Audience       []string
	TokenID        string
	ClientID       string    // the client that obtained an internal token
	IssuedAt       time.Time // zero: unknown
	AuthTime       time.Time // zero: unknown
	SecretVersion  string    // of the client secret that obtained an internal token
	Expires        time.Time // zero: unknown, only allowed to external credentials
}

// Principal is who a caller is in a realm.
type Principal struct {
	Realm, ID, Name string
	Enabled         bool
	Roles           []string // granted, without a prefix
	Attributes      map[string]string
}

// AccessKey is a key with which a principal signs requests, e.g. by AWS Signature Version 4.
type AccessKey struct {
	ID        string
	Principal PrincipalRef
	Enabled   bool      // whether the principal is
	Secret    SecretRef // of the secret that requests are signed with
}

// Grant is what a token is to be issued for.
type Grant struct {
	Principal     PrincipalRef
	ClientID      string
	Scope         []string
	Realm, Issuer string
	Audience      []string
	Lifetime      time.Duration // the most; zero: the broker's maximum
	TokenID       string        // that the token must have; what revokes it
	AuthTime      time.Time
	SecretVersion string
}

// Token is an issued access token.
type Token struct {
	Value, ID string
	Type      string // RFC 6749 section 7.1, usually "Bearer"
	Expires   time.Time
}

// ServiceIdentity is who Realmgate itself is towards a cloud.
type ServiceIdentity struct {
	Type, ARN    string
	Credentials  SecretRef
	DefaultChain bool // credentials come from the environment that the host runs in
}

// Connection is a remote system and how to authenticate to it. Secrets in Authentication are references.
type Connection struct {
	Realm, Name        string
	Version            int64
	Type, URI          string
	AuthenticationType string
	Authentication     json.RawMessage
	ServiceIdentity    *ServiceIdentity
	Properties         map[string]string
}

// VendRequest asks for credentials for a connection.
type VendRequest struct {
	Connection  Connection
	Caller      Principal
	RequestID   string
	NarrowTo    []string // URIs that the credentials are to be limited to; empty: no narrowing
	MinLifetime time.Duration
}

// ConnectionCredentials are short-lived credentials for one connection.
type ConnectionCredentials struct {
	Properties map[string]Secret
	Expires    time.Time
	AuditID    string // ties an audit line to the remote system's own log
}

// SignRequest asks for a signature on a request to a connection.
type SignRequest struct {
	Connection Connection
	Caller     Principal
	HTTP       HTTPMessage
	Presign    bool
	Lifetime   time.Duration
}

// SignedRequest is the answer to a SignRequest.
type SignedRequest struct {
	URL string
	// Header is everything to send, and nothing else is sent: the headers of the request that was asked about, with those of
	// the signature in place of any that it had (another Authorization, the session token of another key).
	Header  []Header
	Expires time.Time
	AuditID string // ties an audit line to the remote system's own log
}
