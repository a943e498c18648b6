package plugintest

import (
	"context"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/rpc"
)

// Case is a configuration of one implementation that works, and a call that succeeds on it. Every (kind, type) that a
// plugin offers needs at least one.
type Case struct {
	Name     string // of the test, beside kind and type; may be empty
	Kind     sdk.Kind
	Type     string
	Settings string // a JSON object; {} if empty
	Setup    sdk.Setup

	Principals []sdk.Principal   // what the host's directory knows; others are forbidden
	AccessKeys []sdk.AccessKey   // what it knows of access keys; others are denied
	Secrets    map[string]string // what the host's secret stores hold, by reference

	// Vend is a request that the case's credential vendor answers; every vendor needs one. Sign is one that it signs; every
	// vendor that signs needs one.
	Vend *sdk.VendRequest
	Sign *sdk.SignRequest

	// Elsewhere are the settings of another store, which must not see what is written to the case's; every secret writer
	// needs them. They may be the case's own where the store's name, which differs, keeps them apart.
	Elsewhere string

	// Call makes one call and gives an error if it fails or if the answer is not the right one. The suite calls it often,
	// concurrently too, and on instances that it configured twice.
	Call func(ctx context.Context, i *Instance) error
}

// Instance is a configured instance of a case, as the host sees it: answers and errors come over the contract.
type Instance struct {
	process *rpc.Process
	id      uint64
	c       *Case
}

// Step runs a stage of a decision on st: an identity provider, a mapper, an authenticator, an active-roles provider, or
// the verifying half of a token broker.
func (i *Instance) Step(ctx context.Context, st *sdk.State) error {
	return i.process.Run(ctx, i.c.Setup.Realm, []rpc.Step{{Kind: i.c.Kind, Instance: i.id}}, st)
}

// Issue asks a token broker for a token.
func (i *Instance) Issue(ctx context.Context, g sdk.Grant) (sdk.Token, error) {
	return i.process.Issue(ctx, i.c.Setup.Realm, i.id, g)
}

// Keys asks a token broker that publishes keys.
func (i *Instance) Keys(ctx context.Context) (jwks []byte, until time.Time, err error) {
	return i.process.Keys(ctx, i.c.Setup.Realm, i.id)
}

// Resolve asks a secret resolver.
func (i *Instance) Resolve(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	return i.process.Resolve(ctx, i.id, ref)
}

// WriteSecret asks a secret resolver that also keeps secrets.
func (i *Instance) WriteSecret(ctx context.Context, ref sdk.SecretRef, value []byte) (version string, err error) {
	return i.process.WriteSecret(ctx, i.id, ref, value)
}

// DeleteSecret asks a secret resolver that also keeps secrets.
func (i *Instance) DeleteSecret(ctx context.Context, ref sdk.SecretRef) error {
	return i.process.DeleteSecret(ctx, i.id, ref)
}

// Vend asks a credential vendor.
func (i *Instance) Vend(ctx context.Context, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	return i.process.Vend(ctx, i.c.Setup.Realm, i.id, r)
}

// Sign asks a credential vendor that also signs requests.
func (i *Instance) Sign(ctx context.Context, r sdk.SignRequest) (sdk.SignedRequest, error) {
	return i.process.Sign(ctx, i.c.Setup.Realm, i.id, r)
}
