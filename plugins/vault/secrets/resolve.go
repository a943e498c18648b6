package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/sdk"
)

// Resolve gives a secret: of a key-value store the newest version or the one that is asked for, of another engine what it
// makes on demand, the same for as long as its lease lasts.
func (s *Store) Resolve(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	if err := checkVersion(ref.Version()); err != nil {
		return sdk.Secret{}, err
	}
	now := time.Now()
	if s.absent.has(ref, now) {
		return sdk.Secret{}, errNothing
	}
	m, r, err := s.read(ctx, ref)
	if errors.Is(err, errNothing) && s.mounts.doubt(m, now) { // the mount may be another one by now
		_, r, err = s.read(ctx, ref)
	}
	if errors.Is(err, errNothing) {
		s.absent.keep(ref, now)
	}
	if err != nil {
		return sdk.Secret{}, err
	}
	raw, err := value(r.fields)
	if err != nil {
		return sdk.Secret{}, err
	}
	out := sdk.NewSecret(raw)
	out.Version, out.CacheUntil = r.version, s.keepUntil(r)
	return out, nil
}

// checkVersion takes what a server numbers versions with: 1 and above.
func checkVersion(v string) error {
	if v == "" {
		return nil
	}
	if n, err := strconv.ParseInt(v, 10, 32); err != nil || n < 1 || strconv.FormatInt(n, 10) != v {
		return errors.New("a version is a number here, from 1 on")
	}
	return nil
}

func (s *Store) read(ctx context.Context, ref sdk.SecretRef) (mount, result, error) {
	m, err := s.mountOf(ctx, ref.Path())
	switch {
	case err != nil:
	case m.kind != kv2 && ref.Version() != "":
		err = errors.New("only a key-value store of version 2 keeps versions")
	case m.rest(ref.Path()) == "":
		err = errors.New("the reference names a mount, and no secret in it")
	}
	if err != nil {
		return m, result{}, err
	}
	var r result
	switch m.kind {
	case kv1:
		r, err = s.readV1(ctx, ref.Path())
	case kv2:
		r, err = s.readV2(ctx, m, ref)
	default:
		r, err = s.leases.resolve(ctx, ref.Path())
	}
	return m, r, err
}

// result is what was read.
type result struct {
	fields  map[string]any
	version string
	read    time.Time // when the server was asked that said so
	until   time.Time // when it ends; zero: that is not known
}

var errNothing = errors.New("there is no such secret")

// keepUntil is max_age after the reading, or the end of what was read. What must not be kept has ended already.
func (s *Store) keepUntil(r result) time.Time {
	until := r.read.Add(s.settings.MaxAge.Std())
	if !r.until.IsZero() && r.until.Before(until) {
		return r.until
	}
	return until
}

func (s *Store) readV1(ctx context.Context, path string) (result, error) {
	before := time.Now()
	out, err := s.session.Do(ctx, client.Request{Method: http.MethodGet, Path: path})
	if client.Status(err) == http.StatusNotFound {
		return result{}, errNothing
	}
	if err != nil {
		return result{}, explain(err, path, "read")
	}
	if out.Secret == nil || out.Data == nil {
		return result{}, errNothing
	}
	r := result{fields: out.Data, read: before}
	if out.LeaseDuration > 0 { // how often to look again, says who wrote it
		r.until = before.Add(time.Duration(out.LeaseDuration) * time.Second)
	}
	return r, nil
}

// versioned is the data of an answer of version 2.
type versioned struct {
	fields    map[string]any
	version   string
	destroyed bool
}

func versionedOf(data map[string]any) versioned {
	var v versioned
	v.fields, _ = data["data"].(map[string]any)
	about, _ := data["metadata"].(map[string]any)
	if n, ok := about["version"].(json.Number); ok {
		v.version = n.String()
	}
	v.destroyed, _ = about["destroyed"].(bool)
	return v
}

func (s *Store) readV2(ctx context.Context, m mount, ref sdk.SecretRef) (result, error) {
	path := m.path + "data/" + m.rest(ref.Path())
	r := client.Request{Method: http.MethodGet, Path: path}
	if ref.Version() != "" {
		r.Query = url.Values{"version": {ref.Version()}}
	}
	before := time.Now()
	out, err := s.session.Do(ctx, r)
	if f := client.As(err); f != nil && f.Status == http.StatusNotFound {
		if f.Secret != nil {
			if v := versionedOf(f.Secret.Data); v.version != "" {
				return result{}, gone(v)
			}
		}
		return result{}, errNothing
	}
	if err != nil {
		return result{}, explain(err, path, "read")
	}
	if out.Secret == nil {
		return result{}, errNothing
	}
	v := versionedOf(out.Data)
	switch {
	case v.fields == nil && v.version != "":
		return result{}, gone(v)
	case v.fields == nil:
		return result{}, errors.New("the answer is not one of a key-value store of version 2")
	case ref.Version() != "" && v.version != ref.Version():
		return result{}, fmt.Errorf("the server gives version %s instead", v.version)
	}
	return result{fields: v.fields, version: v.version, read: before}, nil
}

func gone(v versioned) error {
	if v.destroyed {
		return fmt.Errorf("version %s of the secret was destroyed", v.version)
	}
	return fmt.Errorf("version %s of the secret was deleted", v.version)
}
