package sdk

import "fmt"

// Kind names what a part does.
type Kind uint8

// The kinds, numbered as in the contract's enum Kind.
const (
	KindIdentityProvider Kind = 1 + iota
	KindPrincipalMapper
	KindPrincipalRolesMapper
	KindAuthenticator
	KindActiveRolesProvider
	KindTokenBroker
	KindSecretResolver
	KindCredentialVendor
)

var kindNames = [...]string{
	KindIdentityProvider:     "identity-provider",
	KindPrincipalMapper:      "principal-mapper",
	KindPrincipalRolesMapper: "principal-roles-mapper",
	KindAuthenticator:        "authenticator",
	KindActiveRolesProvider:  "active-roles-provider",
	KindTokenBroker:          "token-broker",
	KindSecretResolver:       "secret-resolver",
	KindCredentialVendor:     "credential-vendor",
}

// Kinds lists all kinds in the order of their numbers.
func Kinds() []Kind {
	out := make([]Kind, 0, len(kindNames)-1)
	for k := KindIdentityProvider; int(k) < len(kindNames); k++ {
		out = append(out, k)
	}
	return out
}

// String gives the name of the kind as it is written in documents and messages, e.g. "principal-mapper".
func (k Kind) String() string {
	if k == 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// Ability is a further small interface that an implementation satisfies beside the one of its kind.
type Ability uint8

// The abilities, numbered as in the contract's enum Ability.
const (
	AbilityKeyPublisher Ability = 1 + iota
	AbilitySecretWriter
	AbilityRequestSigner
	AbilityChecker // of any kind
)

// String gives the name of the ability, e.g. "key-publisher".
func (a Ability) String() string {
	switch a {
	case AbilityKeyPublisher:
		return "key-publisher"
	case AbilitySecretWriter:
		return "secret-writer"
	case AbilityRequestSigner:
		return "request-signer"
	case AbilityChecker:
		return "checker"
	}
	return fmt.Sprintf("ability(%d)", uint8(a))
}
