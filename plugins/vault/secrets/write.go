package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/sdk"
)

// maxConflicts is how often a write is tried again since another one came between.
const maxConflicts = 3

// WriteSecret writes a secret into a key-value store, and answers its version where the store has some.
func (s *Store) WriteSecret(ctx context.Context, ref sdk.SecretRef, value []byte) (string, error) {
	if err := bounded(value); err != nil {
		return "", err
	}
	defer func() { s.absent.forget(time.Now()) }()
	m, err := s.writable(ctx, ref)
	if err != nil {
		return "", err
	}
	if m.kind == kv1 {
		_, err := s.session.Do(ctx, client.Request{Method: http.MethodPost, Path: ref.Path(), Body: pack(value)})
		return "", explain(err, ref.Path(), "create", "update")
	}
	path := m.path + "data/" + m.rest(ref.Path())
	body := map[string]any{"data": pack(value)}
	for range maxConflicts {
		out, err := s.session.Do(ctx, client.Request{Method: http.MethodPost, Path: path, Body: body})
		switch {
		case err == nil:
			if out.Secret == nil {
				return "", errors.New("the server does not say which version it wrote")
			}
			n, ok := out.Data["version"].(json.Number)
			if !ok {
				return "", errors.New("the server does not say which version it wrote")
			}
			return n.String(), nil
		case client.Says(err, "check-and-set parameter required", "check-and-set parameter did not match"):
			// The store demands that a writer knows what it replaces.
			now, err := s.newest(ctx, path)
			if err != nil {
				return "", err
			}
			body["options"] = map[string]any{"cas": now}
		default:
			return "", explain(err, path, "create", "update")
		}
	}
	return "", errors.New("other writers came between again and again")
}

// newest gives the number of the newest version, also of one that was deleted; 0 if there is none.
func (s *Store) newest(ctx context.Context, path string) (int, error) {
	out, err := s.session.Do(ctx, client.Request{Method: http.MethodGet, Path: path})
	f := client.As(err)
	if err != nil && (f == nil || f.Status != http.StatusNotFound) {
		return 0, explain(err, path, "read")
	}
	var v versioned
	switch {
	case err == nil && out.Secret != nil:
		v = versionedOf(out.Data)
	case f != nil && f.Secret != nil:
		v = versionedOf(f.Secret.Data)
	}
	if v.version == "" {
		return 0, nil
	}
	return strconv.Atoi(v.version)
}

// DeleteSecret deletes a secret with all its versions and what the server knows of them; one that is not there is no error.
func (s *Store) DeleteSecret(ctx context.Context, ref sdk.SecretRef) error {
	m, err := s.writable(ctx, ref)
	if err != nil {
		return err
	}
	path := ref.Path()
	if m.kind == kv2 {
		path = m.path + "metadata/" + m.rest(ref.Path())
	}
	// A key-value store says 204 also where nothing is: status 404 says that there is no such store, and not that the secret is gone.
	_, err = s.session.Do(ctx, client.Request{Method: http.MethodDelete, Path: path})
	return explain(err, path, "delete")
}

// writable says where a secret is written and deleted, as it is now: what was remembered of the mount might have the secret
// written to another place, or left where it is.
func (s *Store) writable(ctx context.Context, ref sdk.SecretRef) (mount, error) {
	s.mounts.forget(ref.Path())
	m, err := s.mountOf(ctx, ref.Path())
	switch {
	case err != nil:
		return mount{}, err
	case m.kind == other:
		return mount{}, fmt.Errorf("what is mounted at %s is not a key-value store: nothing can be written there", m.path)
	case m.rest(ref.Path()) == "":
		return mount{}, errors.New("the reference names a mount, and no secret in it")
	}
	return m, nil
}
