package accesskey

import (
	"context"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

// Store keeps access keys; *directory.Directory is one.
type Store interface {
	CreateAccessKey(ctx context.Context, realm string, n directory.NewAccessKey) (directory.AccessKey, error)
	ListAccessKeys(ctx context.Context, realm, principal string) ([]directory.AccessKey, error)
	DeleteAccessKey(ctx context.Context, realm, principal, id string) error
}

// Config is what a service is made of.
type Config struct {
	Realm   string
	Store   Store
	Custody *custody.Custody // nil: the realm has no store for secrets, and keys cannot be created
	Audit   *audit.Log       // nil: none
}

// Service serves the access keys of one realm.
type Service struct{ c Config }

// New gives the service of a realm.
func New(c Config) *Service { return &Service{c} }

// Created is a new key with its secret, which cannot be had again.
type Created struct {
	directory.AccessKey
	Secret sdk.Secret
}
