package custody

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

// Ledger notes which references we write; *directory.Directory is one.
type Ledger interface {
	PlanSecrets(ctx context.Context, realm, owner string, refs []sdk.SecretRef) error
	AbandonSecrets(ctx context.Context, realm string, refs []sdk.SecretRef) ([]sdk.SecretRef, error)
	DoomedSecrets(ctx context.Context, realm string, plannedBefore time.Time) ([]directory.WrittenSecret, error)
	DoomedSecretsOf(ctx context.Context, realm, owner string) ([]directory.WrittenSecret, error)
	PostponeSecrets(ctx context.Context, realm string, refs []sdk.SecretRef) error
	ForgetSecret(ctx context.Context, realm string, ref sdk.SecretRef) error
	FindWrittenSecret(ctx context.Context, realm string, ref sdk.SecretRef) (directory.WrittenSecret, error)
}

// Secrets are the stores; *secret.Service is one.
type Secrets interface {
	Writable(realm string, ref sdk.SecretRef) error
	WriteGranted(ctx context.Context, realm string, ref sdk.SecretRef, value []byte) (version string, err error)
	Delete(ctx context.Context, ref sdk.SecretRef) error
}

// Config says where a realm's secrets go.
type Config struct {
	Realm   string
	Store   string // name of the secret store; empty: the realm has none, and nothing can be held
	Prefix  string // path in it, with a slash at the end
	Ledger  Ledger
	Secrets Secrets
	Logger  hclog.Logger     // nil: silent
	Now     func() time.Time // nil: time.Now
}

// Time limits. What is planned is kept within holdLimit or given up, long before a sweep takes it for a leftover. What was
// given up may still be on its way into the store, so a sweep looks again after doomedAge.
const (
	holdLimit  = 30 * time.Second
	undoLimit  = 15 * time.Second
	plannedAge = 15 * time.Minute
	doomedAge  = time.Minute
	tellAgain  = time.Hour // of secrets that still cannot be deleted
)

// ErrNoStore says that the realm has no place for secrets.
var ErrNoStore = errors.New("the realm has no secret store for secrets that are handed in: its connections block names no secret_store")

// Custody keeps the secrets of one realm. It is safe for concurrent use.
type Custody struct {
	c Config

	mu    sync.Mutex
	left  int       // how many secrets the last sweep could not delete
	heard time.Time // when the log was told
}

// New gives the custody of a realm. Whether the store can be used is found out when it is: it may be down now.
func New(c Config) (*Custody, error) {
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	k := &Custody{c: c}
	if c.Store == "" {
		return k, nil
	}
	if !strings.HasSuffix(c.Prefix, "/") {
		return nil, fmt.Errorf("custody: the prefix %q does not end with a slash", c.Prefix)
	}
	if _, err := k.reference("x"); err != nil {
		return nil, fmt.Errorf("custody: store %q, prefix %q: %w", c.Store, c.Prefix, err)
	}
	return k, nil
}

// Value is a secret and where it goes, below the realm's prefix.
type Value struct {
	Path   string
	Secret sdk.Secret
}

func (c *Custody) reference(path string) (sdk.SecretRef, error) {
	return sdk.ParseSecretRef("urn:realmgate-secret:" + c.c.Store + ":" + c.c.Prefix + path)
}

// Hold writes values to the realm's store and lets keep store their owner, under their references, which are in the order
// of the values. If keep fails, or anything before it, the values are deleted again. Secrets of the owner that keep doomed are
// deleted when it has succeeded. Without values only keep is called, and no store is needed.
//
// The error is that of keep as it is; ErrNoStore; secret.ErrNotGranted or secret.ErrReadOnly where the configuration does not
// let the realm write; or says what did not answer.
func (c *Custody) Hold(ctx context.Context, owner string, values []Value, keep func(ctx context.Context, refs []sdk.SecretRef) error) error {
	refs, err := c.references(values)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, holdLimit)
	defer cancel()
	certain, err := c.write(ctx, owner, values, refs)
	if err == nil {
		err = keep(ctx, refs)
	}
	if err != nil {
		c.undo(ctx, refs, certain)
		return err
	}
	c.Release(ctx, owner)
	return nil
}

// references names the values, and makes sure that they may be written there.
func (c *Custody) references(values []Value) ([]sdk.SecretRef, error) {
	if len(values) == 0 {
		return nil, nil
	}
	if c.c.Store == "" {
		return nil, ErrNoStore
	}
	refs := make([]sdk.SecretRef, len(values))
	for i, v := range values {
		r, err := c.reference(v.Path)
		if err == nil {
			err = c.c.Secrets.Writable(c.c.Realm, r)
		}
		if err != nil {
			return nil, err
		}
		refs[i] = r
	}
	return refs, nil
}

// write plans and writes. certain says that no write is left whose end is not known.
func (c *Custody) write(ctx context.Context, owner string, values []Value, refs []sdk.SecretRef) (certain bool, err error) {
	if len(refs) == 0 {
		return true, nil
	}
	if err := c.c.Ledger.PlanSecrets(ctx, c.c.Realm, owner, refs); err != nil {
		return true, err
	}
	for i, v := range values {
		if _, err := c.c.Secrets.WriteGranted(ctx, c.c.Realm, refs[i], v.Secret.Reveal()); err != nil {
			return false, err
		}
	}
	return true, nil
}

// undo deletes what was written and not kept. Whether it was kept is for the ledger to say: the answer to a commit may
// have been lost.
func (c *Custody) undo(ctx context.Context, refs []sdk.SecretRef, certain bool) {
	if len(refs) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	doomed, err := c.c.Ledger.AbandonSecrets(ctx, c.c.Realm, refs)
	if err != nil {
		c.c.Logger.Warn("secrets may be left over, and will be looked for", "realm", c.c.Realm, "references", refs, "error", err)
	}
	for _, r := range doomed {
		c.tell(r, c.delete(ctx, r, certain))
	}
}

// Release deletes the doomed secrets of an owner, at once. What cannot be deleted is left for Sweep.
func (c *Custody) Release(ctx context.Context, owner string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	list, err := c.c.Ledger.DoomedSecretsOf(ctx, c.c.Realm, owner)
	if err != nil {
		c.c.Logger.Warn("secrets may be left over, and will be looked for", "realm", c.c.Realm, "owner", owner, "error", err)
		return
	}
	for _, w := range list {
		c.tell(w.Reference, c.delete(ctx, w.Reference, true))
	}
}

// delete deletes a doomed secret. It stays in the ledger if it is not certain that nothing comes after it.
func (c *Custody) delete(ctx context.Context, ref sdk.SecretRef, certain bool) error {
	err := c.c.Secrets.Delete(ctx, ref)
	if err == nil && certain {
		err = c.c.Ledger.ForgetSecret(ctx, c.c.Realm, ref)
	}
	return err
}

func (c *Custody) tell(ref sdk.SecretRef, err error) {
	if err != nil {
		c.c.Logger.Warn("a secret that nobody needs any more could not be deleted; it will be tried again", "realm", c.c.Realm, "reference", ref, "error", err)
	}
}

// Sweep deletes what is left over: secrets whose owner is gone, and those that were planned long ago and never kept. Those
// that cannot be deleted come after all others the next time. It gives how many these are; the log has some of them when
// there are any, and again once an hour.
func (c *Custody) Sweep(ctx context.Context) (left int, err error) {
	var failed []sdk.SecretRef
	var why error
	for ctx.Err() == nil {
		now := c.c.Now()
		list, err := c.c.Ledger.DoomedSecrets(ctx, c.c.Realm, now.Add(-plannedAge))
		if err != nil {
			return left, fmt.Errorf("custody: %w", err)
		}
		list = slices.DeleteFunc(list, func(w directory.WrittenSecret) bool {
			return now.Sub(w.Since) < doomedAge
		})
		if len(list) == 0 {
			break
		}
		failed = nil
		for _, w := range list {
			if ctx.Err() != nil {
				break // the others are the first ones the next time
			}
			if err := c.delete(ctx, w.Reference, true); err != nil {
				failed, why = append(failed, w.Reference), err
			}
		}
		left += len(failed)
		if err := c.postpone(ctx, failed); err != nil {
			return left, err
		}
	}
	c.summarize(left, failed, why)
	return left, nil
}

// postpone makes way for others. It comes about although the time for the sweep is over.
func (c *Custody) postpone(ctx context.Context, refs []sdk.SecretRef) error {
	if len(refs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	if err := c.c.Ledger.PostponeSecrets(ctx, c.c.Realm, refs); err != nil {
		return fmt.Errorf("custody: %w", err)
	}
	return nil
}

// summarize tells the log what a sweep left, unless it has heard of it.
func (c *Custody) summarize(left int, some []sdk.SecretRef, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.c.Now()
	if known := c.left > 0 && now.Sub(c.heard) < tellAgain; left == 0 || known {
		c.left = left
		return
	}
	c.left, c.heard = left, now
	c.c.Logger.Warn("secrets that nobody needs any more cannot be deleted; it is tried again every minute", "realm", c.c.Realm, "left", left,
		"some", some[:min(len(some), 5)], "error", why)
}

// handedIn is the form of the paths that secrets get which are handed in, below whatever prefix.
var handedIn = regexp.MustCompile(`(?i)(^|[/:])(connections/[^/]+/[0-9a-f]{32}/|access-keys/rgak)`)

// Reserved says whether a reference leads to where secrets are kept that are handed in, in whatever store: only a store's
// resolver knows which names mean the same there, so that nothing but the place itself can be looked at.
func (c *Custody) Reserved(ref sdk.SecretRef) bool {
	path := strings.ToLower(ref.Path())
	for _, area := range []string{directory.ConnectionOwner(""), directory.AccessKeyOwner("")} {
		if c.c.Prefix != "" && strings.Contains(path, strings.ToLower(c.c.Prefix)+area) {
			return true
		}
	}
	return handedIn.MatchString(path)
}

// OwnerOf says whose secret a reference leads to, if it is one that we wrote in the realm.
func (c *Custody) OwnerOf(ctx context.Context, ref sdk.SecretRef) (owner string, ours bool, err error) {
	w, err := c.c.Ledger.FindWrittenSecret(ctx, c.c.Realm, ref)
	if errors.Is(err, directory.ErrNotFound) {
		return "", false, nil
	}
	return w.Owner, err == nil, err
}
