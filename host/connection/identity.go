package connection

import (
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

// IdentityAWSIAM is the type of an IAM identity, as in Polaris.
const IdentityAWSIAM = "AWS_IAM"

// Scopes of a service identity: the block at the top of the configuration, or the realm's own.
const (
	ScopeDefault = "default"
	ScopeRealm   = "realm"
)

// IdentityRef refers to a service identity of the configuration: urn:realmgate-service-identity:<scope>:<type>, with the
// type in lower case. The realm is the connection's.
type IdentityRef string

const identityPrefix = "urn:realmgate-service-identity:"

// NewIdentityRef gives the reference to an identity of a scope and a type, e.g. ScopeRealm and IdentityAWSIAM.
func NewIdentityRef(scope, typ string) IdentityRef {
	return IdentityRef(identityPrefix + scope + ":" + strings.ToLower(typ))
}

// Identities are the service identities that a realm may use.
type Identities map[IdentityRef]sdk.ServiceIdentity

// choose gives the identity for a new connection: the realm's own goes over the default's.
func (i Identities) choose(typ string) (*ServiceIdentity, bool) {
	for _, scope := range []string{ScopeRealm, ScopeDefault} {
		ref := NewIdentityRef(scope, typ)
		if id, ok := i[ref]; ok {
			return &ServiceIdentity{Type: typ, IAMARN: id.ARN, Reference: ref}, true
		}
	}
	return nil, false
}
