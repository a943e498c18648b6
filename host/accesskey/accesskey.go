package accesskey

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"

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
	Custody *custody.Custody
	Audit   *audit.Log // nil: none
}

// Service serves the access keys of one realm. It is safe for concurrent use.
type Service struct{ c Config }

// New gives the service of a realm.
func New(c Config) *Service { return &Service{c} }

// Created is a new key with its secret, which cannot be had again.
type Created struct {
	directory.AccessKey
	Value sdk.Secret // 40 characters
}

// Create gives a principal a key. It may have directory.MaxAccessKeys of them. On an error nothing of the secret is left.
func (s *Service) Create(ctx context.Context, principal string) (Created, error) {
	id, value := draw()
	out := Created{Value: value}
	e := audit.Event{Name: audit.AccessKeyCreate, Realm: s.c.Realm, Principal: principal, AccessKey: id}
	err := s.c.Audit.Around(ctx, e, func() error {
		keys, err := s.c.Store.ListAccessKeys(ctx, s.c.Realm, principal) // says no before anything is written
		if err != nil {
			return err
		}
		if len(keys) >= directory.MaxAccessKeys {
			return directory.TooManyAccessKeys()
		}
		owner := directory.AccessKeyOwner(id)
		return s.c.Custody.Hold(ctx, owner, []custody.Value{{Path: owner, Secret: value}}, func(ctx context.Context, refs []sdk.SecretRef) error {
			out.AccessKey, err = s.c.Store.CreateAccessKey(ctx, s.c.Realm, directory.NewAccessKey{ID: id, Principal: principal, Secret: refs[0]})
			return err
		})
	}, func(e *audit.Event) { e.PrincipalID = out.Principal.ID })
	if err != nil {
		return Created{}, err
	}
	return out, nil
}

// draw draws a key id and a secret. crypto/rand.Read never fails.
func draw() (id string, secret sdk.Secret) {
	var name [10]byte  // 16 characters of base 32
	var value [30]byte // 40 characters of base 64
	_, _ = rand.Read(name[:])
	_, _ = rand.Read(value[:])
	return Prefix + base32.StdEncoding.EncodeToString(name[:]), sdk.NewSecret([]byte(base64.RawURLEncoding.EncodeToString(value[:])))
}

// Prefix is what the ids of all keys begin with; 16 characters A to Z and 2 to 7 follow.
const Prefix = "RGAK"

// List gives the keys of a principal, the oldest first.
func (s *Service) List(ctx context.Context, principal string) ([]directory.AccessKey, error) {
	return s.c.Store.ListAccessKeys(ctx, s.c.Realm, principal)
}

// Delete ends a key of a principal and deletes its secret.
func (s *Service) Delete(ctx context.Context, principal, id string) error {
	e := audit.Event{Name: audit.AccessKeyDelete, Realm: s.c.Realm, Principal: principal, AccessKey: id}
	return s.c.Audit.Around(ctx, e, func() error {
		if err := s.c.Store.DeleteAccessKey(ctx, s.c.Realm, principal, id); err != nil {
			return err
		}
		s.c.Custody.Release(ctx, directory.AccessKeyOwner(id))
		return nil
	}, nil)
}

// Released deletes the secrets of keys that have gone with their principal.
func (s *Service) Released(ctx context.Context, keys []directory.AccessKey) {
	for _, k := range keys {
		s.c.Custody.Release(ctx, directory.AccessKeyOwner(k.ID))
	}
}
