package broker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// slowStore is a host whose answers a test holds back.
type slowStore struct {
	sdk.Host // for what it is not asked

	asked  chan context.Context
	answer chan error // an error, or nil for a new key
}

func (*slowStore) FindPrincipal(context.Context, sdk.PrincipalRef) (sdk.Principal, error) {
	return sdk.Principal{}, errors.New("there are no principals here")
}

func (s *slowStore) ResolveSecret(ctx context.Context, _ sdk.SecretRef) (sdk.Secret, error) {
	s.asked <- ctx
	select {
	case err := <-s.answer:
		return sdk.NewSecret([]byte("x" + secret)), err
	case <-ctx.Done():
		return sdk.Secret{}, ctx.Err()
	}
}

// dueRing gives a ring whose keys are to be read again, from a store that the test answers for.
func dueRing(t *testing.T) (*ring, *slowStore) {
	t.Helper()
	ref, err := sdk.ParseSecretRef("urn:realmgate-secret:s:key")
	if err != nil {
		t.Fatal(err)
	}
	old, err := symmetricKeys([]byte(secret), time.Now().Add(-time.Minute), nil, "secret")
	if err != nil {
		t.Fatal(err)
	}
	host := &slowStore{asked: make(chan context.Context, 1), answer: make(chan error, 1)}
	return &ring{read: SymmetricSettings{Secret: ref}.read, retain: time.Hour, now: old}, host
}

// hangUp has a caller ask for the keys and hang up while the store is asked. It gives the context in which it is asked.
func hangUp(t *testing.T, r *ring, host *slowStore) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(sdk.WithHost(t.Context(), host))
	defer cancel()
	reading := make(chan context.Context, 1)
	go func() {
		reading <- <-host.asked
		cancel()
	}()
	before := r.now.signer.id
	if got := r.current(ctx, time.Now()).signer.id; got != before {
		t.Errorf("the caller got the key %s, want %s", got, before)
	}
	return <-reading
}

func settled(t *testing.T, r *ring) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		reading := r.reading
		r.mu.Unlock()
		if !reading {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the reading does not end")
		}
	}
}

// A caller who hangs up ends neither the reading nor the next attempt.
func TestCallerHangsUpWhileKeysAreRead(t *testing.T) {
	t.Parallel()
	r, host := dueRing(t)
	if ctx := hangUp(t, r, host); ctx.Err() != nil {
		t.Errorf("the reading ended with its caller: %v", ctx.Err())
	}
	host.answer <- nil
	settled(t, r)
	if r.now.signer.id != symmetricID([]byte("x"+secret)) {
		t.Error("the key that the store gave in the end is not used")
	}

	r, host = dueRing(t)
	hangUp(t, r, host)
	host.answer <- errors.New("the call that the host is asked for has ended")
	settled(t, r)
	host.answer <- nil
	if got := r.current(sdk.WithHost(t.Context(), host), time.Now()).signer.id; got != symmetricID([]byte("x"+secret)) {
		t.Error("the next caller does not have the keys read again")
	}
}

// A store that hangs is one that is down: the caller goes on with the keys that there are, and the next attempt waits.
func TestStoreHangs(t *testing.T) {
	t.Parallel()
	r, host := dueRing(t)
	ctx := sdk.WithHost(t.Context(), host)
	old, now := r.now.signer.id, time.Now()
	if got := r.current(ctx, now).signer.id; got != old || ctx.Err() != nil {
		t.Errorf("the key is %s, want %s", got, old)
	}
	if took := time.Since(now); took < readTimeout || took > 10*readTimeout {
		t.Errorf("it took %v", took)
	}
	<-host.asked
	if r.current(ctx, now.Add(retry-time.Second)); len(host.asked) != 0 {
		t.Error("the store was asked again at once")
	}
	host.answer <- nil
	if got := r.current(ctx, now.Add(retry)).signer.id; got == old {
		t.Error("the store was not asked again later")
	}
}
