package custody

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

// Ledger notes which references we write; *directory.Directory is one.
type Ledger interface {
	// PlanSecrets notes that secrets are about to be written for an owner.
	PlanSecrets(ctx context.Context, realm, owner string, refs []sdk.SecretRef) error
	// AbandonSecrets gives those of the references that no owner has been kept for, and never will be.
	AbandonSecrets(ctx context.Context, realm string, refs []sdk.SecretRef) ([]sdk.SecretRef, error)
	// DoomedSecrets gives the secrets that are to be deleted; among them those that were planned before a time.
	DoomedSecrets(ctx context.Context, realm string, plannedBefore time.Time) ([]directory.WrittenSecret, error)
	// ForgetSecret notes that a doomed secret is deleted.
	ForgetSecret(ctx context.Context, realm string, ref sdk.SecretRef) error
}

// Secrets are the stores; *secret.Service is one.
type Secrets interface {
	Writable(realm string, ref sdk.SecretRef) error
	Write(ctx context.Context, ref sdk.SecretRef, value []byte) (version string, err error)
	Delete(ctx context.Context, ref sdk.SecretRef) error
}

// Config says where a realm's secrets go.
type Config struct {
	Realm   string
	Store   string // name of the secret store
	Prefix  string // path in it, with a slash at the end
	Ledger  Ledger
	Secrets Secrets
	Logger  hclog.Logger     // nil: silent
	Now     func() time.Time // nil: time.Now
}

// Custody keeps the secrets of one realm. It is safe for concurrent use.
type Custody struct{ c Config }

// New gives the custody of a realm. The error says why the store cannot be used: it is not there, cannot be written, or is
// not granted to the realm below the prefix.
func New(c Config) (*Custody, error) { return &Custody{c}, nil }

// Sweep deletes what is left over: secrets whose owner is gone, and those that were planned long ago and never kept.
func (c *Custody) Sweep(ctx context.Context) error { return nil }
