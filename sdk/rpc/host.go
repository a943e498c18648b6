package rpc

import (
	"context"

	"github.com/realmgate/realmgate/sdk"
)

// Step is one stage of a leg: the kind, and the instance that serves it.
type Step struct {
	Kind     sdk.Kind
	Instance uint64
}

// Instance is one instance to configure. The ID is chosen by the host and never used again on the same process. Which
// fields of Setup travel depends on the kind.
type Instance struct {
	ID       uint64
	Kind     sdk.Kind
	Type     string
	Settings []byte // a JSON object
	Setup    sdk.Setup
}

// Diagnostic is what a plugin has to say about the settings of an instance. An instance with one that is not a warning
// does not exist.
type Diagnostic struct {
	Instance        uint64
	Warning         bool
	Path            string // JSON pointer (RFC 6901) into the settings; empty for the whole block
	Summary, Detail string
	Sensitive       bool // the value at Path may be a secret
	Unavailable     bool // the settings may be right: the instance could not be built now, another try may succeed
	Code            Code // why, where it is unavailable
}

// Caller says on whose behalf a plugin asks the host: what the host knows, never what the plugin claims.
type Caller struct {
	Instance    uint64
	Realm       string // empty where no realm is being served
	RequestID   string
	Configuring bool // the constructor of the instance asks
	// Lent is the reference to the keys of the service identity that the host sent along with the Vend or Sign that is being
	// served; zero in every other call.
	Lent sdk.SecretRef
	// Carried are the references in the authentication of the connection that came with that Vend or Sign. Unlike Lent they
	// are a caller's word: the host has to see whether they are granted to the realm.
	Carried []sdk.SecretRef
}

// HostServices answers the host calls of a plugin. It must be safe for concurrent use; ctx ends with the call that the
// plugin asks for. A *sdk.Denial travels to the plugin as one, every other error as a failure.
type HostServices interface {
	FindPrincipal(ctx context.Context, c Caller, ref sdk.PrincipalRef) (sdk.Principal, error)
	FindAccessKey(ctx context.Context, c Caller, id string) (sdk.AccessKey, error)
	ResolveSecret(ctx context.Context, c Caller, ref sdk.SecretRef) (sdk.Secret, error)
	// Epoch gives the realm's epoch; 0 means that the plugin must not remember answers.
	Epoch(realm string) uint64
}

// CallScoper is the ability of HostServices to hold on to something for as long as a call of the plugin lasts: from the context
// of a call Scope makes the one that all of that call's host calls have. It is asked once for each call, before the first.
type CallScoper interface {
	Scope(context.Context) context.Context
}
