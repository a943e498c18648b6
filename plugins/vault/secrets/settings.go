package secrets

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/plugins/vault/login"
	"github.com/realmgate/realmgate/sdk"
)

// Settings are those of [Store].
type Settings struct {
	client.Server
	login.Choice
	KVVersion string       `json:"kv_version" default:"auto" doc:"version of the key-value engines: auto (the server is asked, sys/internal/ui/mounts), 1 or 2. With 1 or 2 nothing but key-value secrets is read, unless kv_mounts lists where they are"`
	KVMounts  []string     `json:"kv_mounts,omitempty" doc:"with kv_version 1 or 2: where key-value engines are mounted; without it the first segment of a path is the mount"`
	MaxAge    sdk.Duration `json:"max_age" default:"PT30S" doc:"for how long after it was read a value may be kept, also while the server is down, at most PT5M. A secret that changes or a lease that is revoked is noticed that much later"`
	MaxLeases int          `json:"max_leases" default:"100" doc:"how many leases of dynamic secrets may stand at a time, up to 1000; those that were replaced count until their end. Beyond it the one that was not asked for the longest is revoked, or, if all are in use, no further secret is made"`
}

const (
	maxMaxAge    = 5 * time.Minute
	maxMaxLeases = 1000
	kvAuto       = "auto"
)

func (s *Settings) check() error {
	var faults []error
	fault := func(text string, at ...any) { faults = append(faults, sdk.At(errors.New(text), at...)) }
	if s.KVVersion != kvAuto && s.KVVersion != "1" && s.KVVersion != "2" {
		fault("it is auto, 1 or 2", "kv_version")
	}
	if s.KVVersion == kvAuto && len(s.KVMounts) > 0 {
		fault("the server is asked for the mounts where kv_version is auto", "kv_mounts")
	}
	for i, m := range s.KVMounts {
		if !client.IsMount(m) {
			fault("it is not where an engine is mounted: names with slashes in between", "kv_mounts", i)
		}
	}
	if s.MaxAge.Std() > maxMaxAge {
		fault("a value is kept for at most PT5M", "max_age")
	}
	if s.MaxLeases < 1 || s.MaxLeases > maxMaxLeases {
		fault(fmt.Sprintf("between 1 and %d leases are possible", maxMaxLeases), "max_leases")
	}
	return errors.Join(faults...)
}

// Store resolves references into a server: mount, path, and for a key-value secret its version and field.
type Store struct {
	settings Settings
	session  *login.Lease
	mounts   mounts
	absent   absences
	leases   *leases
}

// New gives the constructor of a [Store] whose sessions come from a pool. The server is asked when a secret is first wanted.
func New(p *login.Pool) sdk.New[Settings, *Store] {
	return func(ctx context.Context, _ sdk.Setup, s Settings) (*Store, error) {
		session, err := p.Open(ctx, s.Server, s.Choice)
		if err := errors.Join(err, s.check()); err != nil {
			if session != nil {
				session.Close()
			}
			return nil, err
		}
		return &Store{settings: s, session: session, leases: newLeases(session.Session, s.MaxLeases, s.MaxAge.Std())}, nil
	}
}

// Close revokes the leases that are held and gives the session back.
func (s *Store) Close() error {
	s.leases.close()
	s.session.Close()
	return nil
}

// explain says which rights are missing where the server denies.
func explain(err error, path string, capabilities ...string) error {
	if client.Denied(err) {
		return fmt.Errorf(`the policies of the store's token do not give "%s" on %s: %w`, strings.Join(capabilities, `" and "`), path, err)
	}
	return err
}

// Check logs in. What a token may do beside, and where, the first reference tells.
func (s *Store) Check(ctx context.Context) error { return s.session.Check(ctx) }
