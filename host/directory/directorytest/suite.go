package directorytest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

// Run runs the suite. fresh gives the configuration of a store that is empty and is used by nobody else; it may be
// opened several times.
func Run(t *testing.T, fresh func(testing.TB) directory.Config) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, *store)
	}{
		{"Bootstrap", testBootstrap},
		{"BootstrapKeepsNothingUnlessShown", testBootstrapUnshown},
		{"BootstrapOnce", testBootstrapOnce},
		{"BootstrapAll", testBootstrapAll},
		{"Principals", testPrincipals},
		{"PrincipalsThatExist", testPrincipalsThatExist},
		{"UpdatePrincipal", testUpdatePrincipal},
		{"Names", testNames},
		{"ImpossibleNames", testImpossibleNames},
		{"HardValues", testHardValues},
		{"Pages", testPages},
		{"Roles", testRoles},
		{"Grants", testGrants},
		{"Secrets", testSecrets},
		{"DisablingEndsTokens", testDisablingEndsTokens},
		{"SecretVersionsOutliveTheirPrincipal", testSecretVersionsOutlive},
		{"SecretsAreNotKept", testSecretsAreNotKept},
		{"Authenticate", testAuthenticate},
		{"FindPrincipal", testFindPrincipal},
		{"AnswersAreCopies", testAnswersAreCopies},
		{"ChangesAreSeenAtOnce", testChangesAreSeenAtOnce},
		{"StandingInternal", testStandingInternal},
		{"LyingAuthenticator", testLyingAuthenticator},
		{"StandingExternal", testStandingExternal},
		{"Revocations", testRevocations},
		{"RevocationsEnd", testRevocationsEnd},
		{"StoreThatIsGone", testStoreThatIsGone},
		{"Epochs", testEpochs},
		{"TwoNodes", testTwoNodes},
		{"RefreshThatFails", testRefreshThatFails},
		{"Reopen", testReopen},
		{"Isolation", testIsolation},
		{"Concurrency", testConcurrency},
		{"CancelledContext", testCancelledContext},
		{"Connections", testConnections},
		{"ConnectionPages", testConnectionPages},
		{"WrittenSecrets", testWrittenSecrets},
		{"RealmsToSweep", testRealmsToSweep},
		{"LateSecrets", testLateSecrets},
		{"SweepAgainstKeep", testSweepAgainstKeep},
		{"AccessKeys", testAccessKeys},
		{"AccessKeysAreFew", testAccessKeysAreFew},
		{"AccessKeysDieWithTheirPrincipal", testAccessKeysDie},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			clock := &clock{now: time.Date(2030, 1, 2, 3, 4, 5, 6789, time.FixedZone("", 3600))}
			cfg := fresh(t)
			cfg.Now = clock.Now
			tt.test(t, &store{Directory: open(t, cfg), cfg: cfg, clock: clock})
		})
	}
}

// store is an open directory, with what a test needs to open it again and to let time pass.
type store struct {
	*directory.Directory
	cfg   directory.Config
	clock *clock
}

func open(t *testing.T, cfg directory.Config) *directory.Directory {
	t.Helper()
	d, err := directory.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fails(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// denies checks the reason and the status of a no; an empty reason stands for a yes.
func denies(t *testing.T, err error, reason string, forbidden bool) {
	t.Helper()
	d := sdk.AsDenial(err)
	switch {
	case reason == "" && err != nil:
		t.Errorf("got %v, want no error", err)
	case reason != "" && (d == nil || d.Reason != reason || d.Forbidden != forbidden):
		t.Errorf("got %v, want %s (forbidden %v)", err, reason, forbidden)
	}
}

func (s *store) principal(t *testing.T, realm, name string, roles ...string) (directory.Principal, directory.ClientSecret) {
	t.Helper()
	p, secret, err := s.CreatePrincipal(t.Context(), realm, directory.NewPrincipal{Name: name, Roles: roles})
	ok(t, err)
	return p, secret
}

func (s *store) role(t *testing.T, realm string, names ...string) {
	t.Helper()
	for _, n := range names {
		_, err := s.CreateRole(t.Context(), realm, n, nil)
		ok(t, err)
	}
}

func (s *store) set(t *testing.T, realm, name string, enabled bool) {
	t.Helper()
	_, err := s.UpdatePrincipal(t.Context(), realm, name, directory.Update{Enabled: &enabled})
	ok(t, err)
}

// login gives what Authenticate says about a secret.
func (s *store) login(ctx context.Context, realm string, c directory.ClientSecret) error {
	_, _, err := s.Authenticate(ctx, realm, c.ClientID, string(c.Secret.Reveal()))
	return err
}

// bootstrap makes the root of one realm.
func (s *store) bootstrap(ctx context.Context, realm string, show func([]directory.Root) error) (created bool, err error) {
	all, err := s.BootstrapAll(ctx, []string{realm}, show)
	return slices.Equal(all, []string{realm}), err
}

// shown shows new roots to nobody.
func shown([]directory.Root) error { return nil }

// token is a credential as an internal token of p carries it.
func token(p directory.Principal, version string) sdk.Credential {
	return sdk.Credential{
		Realm: p.Realm, Source: sdk.SourceInternal, Issuer: "https://gate/" + p.Realm, TokenID: "t1",
		Principal: sdk.PrincipalRef{ID: p.ID, Name: p.Name}, SecretVersion: version,
	}
}

// found is p as an authenticator gives it.
func found(p directory.Principal) sdk.Principal {
	return sdk.Principal{Realm: p.Realm, ID: p.ID, Name: p.Name, Enabled: true}
}
