package sdk

import (
	"context"
	"time"
)

// The answers of the stages of a decision (IdentityProvider, PrincipalMapper, PrincipalRolesMapper, Authenticator,
// ActiveRolesProvider and CredentialVerifier) are remembered by the host, and given to equal requests, where the implementation
// says so: for all of them with the option [Cacheable], for one with [CacheFor]. [NoCache] forbids it for one.

// IdentityProvider verifies a foreign credential, e.g. a token of an OpenID provider.
//
// A credential that is not valid is denied (401). Identity.Expires already includes the clock skew that the provider
// allows: the host compares it with its clock as it stands. Identity.Tenant is set by the host.
//
// One that looks at Request.Peer, or takes a credential once, is not [Cacheable]. A no that time turns into a yes has an end:
// [CacheFor].
type IdentityProvider interface {
	Identify(context.Context, Request) (Identity, error)
}

// PrincipalMapper finds out which principal a foreign identity stands for. Where both id and name are given they must
// name the same principal, else the directory denies. It is [Cacheable] if the answer depends on the identity alone.
type PrincipalMapper interface {
	MapPrincipal(context.Context, Identity) (PrincipalRef, error)
}

// PrincipalRolesMapper turns the roles of a foreign identity into the roles that are requested, with their prefix. It is
// [Cacheable] if the answer depends on the identity alone.
type PrincipalRolesMapper interface {
	MapRoles(context.Context, Identity) ([]string, error)
}

// Authenticator turns a credential into a principal with its granted roles (without a prefix). A credential whose
// principal is unknown or not enabled is forbidden (403). Principal.Realm may stay empty. It is [Cacheable] if the answer depends
// on the credential and on the realm's directory alone; one that asks elsewhere says [CacheFor].
type Authenticator interface {
	Authenticate(context.Context, Credential) (Principal, error)
}

// ActiveRolesProvider chooses the roles that are active among the granted ones. requested is what the credential asks
// for, with its prefix; the answer is without one. A requested role that is not granted is forbidden (403). It is [Cacheable] if
// the answer depends on these alone, and not, say, on the hour.
type ActiveRolesProvider interface {
	ActiveRoles(ctx context.Context, p Principal, requested []string) ([]string, error)
}

// CredentialVerifier verifies a credential of the realm's own making. It answers [NotMine] for one that is of another
// kind altogether (only then may a mixed realm ask the identity provider), and denies one of ours that is expired,
// badly signed or meant for another realm. It is [Cacheable] unless it takes a token once; an answer that hangs on a key which
// may be gone soon has an end: [CacheFor].
type CredentialVerifier interface {
	Verify(context.Context, Request) (Credential, error)
}

// TokenBroker issues a realm's tokens and verifies them.
//
// Issue puts realm, issuer, audience, token id and client-secret version of the grant into the token and signs it; it may
// shorten the life that the grant asks for, never lengthen it.
type TokenBroker interface {
	CredentialVerifier
	Issue(context.Context, Grant) (Token, error)
}

// SecretResolver gives the value of a reference into its store: the whole secret. The reference never names a field: the host
// takes the one that is wanted out of what it was given ([Secret.Field]), so that all fields are of one reading. A reference
// that names nothing is an error, not a denial: the configuration is at fault, not a caller.
type SecretResolver interface {
	Resolve(context.Context, SecretRef) (Secret, error)
}

// CredentialVendor gives short-lived credentials for a connection.
type CredentialVendor interface {
	Vend(context.Context, VendRequest) (ConnectionCredentials, error)
}

// KeyPublisher is the ability of a token broker whose tokens others may verify. Keys answers a JWK set (RFC 7517
// section 5) with public keys only, and until when it may be kept.
type KeyPublisher interface {
	Keys(context.Context) (jwks []byte, until time.Time, err error)
}

// SecretWriter is the ability of a secret resolver that can also keep secrets. The reference names neither a version nor a
// field. WriteSecret answers the version that it wrote, empty where no reference can name it. A value that the store cannot
// hold byte by byte is refused, not changed. Deleting what is not there is not an error.
type SecretWriter interface {
	WriteSecret(ctx context.Context, ref SecretRef, value []byte) (version string, err error)
	DeleteSecret(ctx context.Context, ref SecretRef) error
}

// RequestSigner is the ability of a credential vendor that can sign a request itself.
type RequestSigner interface {
	Sign(context.Context, SignRequest) (SignedRequest, error)
}

// Checker is the ability of an implementation of any kind that can say whether it could do its work now: its provider is
// reached, its store lets it in, its key can be read. The host asks when an instance is new, before it serves. An error says
// what is missing; it is no denial. Check changes nothing, and gives up with its context.
type Checker interface {
	Check(context.Context) error
}
