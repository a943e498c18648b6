package directorytest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/directory"
)

func testSecrets(t *testing.T, s *store) {
	ctx := t.Context()
	_, first := s.principal(t, "r", "a")
	rotate := func() directory.ClientSecret {
		t.Helper()
		c, err := s.RotateSecret(ctx, "r", "a")
		ok(t, err)
		return c
	}
	valid := func(want ...directory.ClientSecret) {
		t.Helper()
		p, err := s.GetPrincipal(ctx, "r", "a")
		ok(t, err)
		var versions []string
		for _, c := range want {
			versions = append(versions, c.Version)
			ok(t, s.login(ctx, "r", c))
		}
		if !slices.Equal(p.SecretVersions, versions) {
			t.Errorf("versions %v, want %v", p.SecretVersions, versions)
		}
	}
	valid(first)
	second := rotate()
	valid(first, second)
	third := rotate()
	valid(second, third)
	fails(t, s.login(ctx, "r", first), directory.ErrBadCredentials)
	fourth, err := s.ResetSecret(ctx, "r", "a")
	ok(t, err)
	valid(fourth)
	fails(t, s.login(ctx, "r", second), directory.ErrBadCredentials)
	fails(t, s.login(ctx, "r", third), directory.ErrBadCredentials)
	last := 0
	for _, c := range []directory.ClientSecret{first, second, third, fourth} {
		n, err := strconv.Atoi(c.Version)
		if err != nil || n <= last || c.ClientID != first.ClientID || c.Secret.Version != c.Version {
			t.Errorf("version %q after %d, client %q", c.Version, last, c.ClientID)
		}
		last = n
	}
	for _, f := range []func() (directory.ClientSecret, error){
		func() (directory.ClientSecret, error) { return s.RotateSecret(ctx, "r", "nobody") },
		func() (directory.ClientSecret, error) { return s.ResetSecret(ctx, "r", "nobody") },
	} {
		_, err := f()
		fails(t, err, directory.ErrNotFound)
	}
}

// testDisablingEndsTokens: the secrets of a principal survive its time as a disabled one, the tokens that they obtained before
// do not, nor could anyone else's secret come to have one of the versions that were given up.
func testDisablingEndsTokens(t *testing.T, s *store) {
	ctx := t.Context()
	p, first := s.principal(t, "r", "a")
	second, err := s.RotateSecret(ctx, "r", "a")
	ok(t, err)
	ended := []string{first.Version, second.Version}
	check := func(when string) {
		t.Helper()
		for _, v := range ended {
			if err := s.CheckStanding(ctx, token(p, v), found(p)); err == nil {
				t.Errorf("%s, a token of version %s is valid", when, v)
			}
		}
	}
	for range 2 {
		s.set(t, "r", "a", false)
		check("disabled")
		s.set(t, "r", "a", true)
		check("enabled again")
		for _, c := range []directory.ClientSecret{first, second} {
			_, version, err := s.Authenticate(ctx, "r", c.ClientID, string(c.Secret.Reveal()))
			ok(t, err)
			if slices.Contains(ended, version) {
				t.Errorf("version %s was given up", version)
			}
			ok(t, s.CheckStanding(ctx, token(p, version), found(p)))
			ended = append(ended, version)
		}
	}
	_, other := s.principal(t, "r", "b")
	third, err := s.RotateSecret(ctx, "r", "a")
	ok(t, err)
	if slices.Contains(ended, other.Version) || slices.Contains(ended, third.Version) {
		t.Errorf("a version was used twice: %s, %s, %v", other.Version, third.Version, ended)
	}
	ended = ended[:len(ended)-1] // the newer of the two that were valid still is
	check("after a rotation")
	s.set(t, "r", "a", false)
	_, err = s.ResetSecret(ctx, "r", "a")
	ok(t, err)
	s.set(t, "r", "a", true)
	ended = append(ended, third.Version)
	check("after a reset while disabled")
}

// testSecretVersionsOutlive: a token of a deleted principal must not become one of a successor with the same id.
func testSecretVersionsOutlive(t *testing.T, s *store) {
	in := directory.NewPrincipal{ID: "1", Name: "a"}
	p, secret, err := s.CreatePrincipal(t.Context(), "r", in)
	ok(t, err)
	ok(t, s.CheckStanding(t.Context(), token(p, secret.Version), found(p)))
	ok(t, s.DeletePrincipal(t.Context(), "r", "a"))
	_, _, err = s.CreatePrincipal(t.Context(), "r", in)
	ok(t, err)
	denies(t, s.CheckStanding(t.Context(), token(p, secret.Version), found(p)), "token_revoked", false)
}

func testSecretsAreNotKept(t *testing.T, s *store) {
	p, secret := s.principal(t, "r", "a")
	for _, printed := range []string{fmt.Sprintf("%v %+v %#v", secret, secret, secret), fmt.Sprintf("%+v", p)} {
		if strings.Contains(printed, string(secret.Secret.Reveal())) {
			t.Error("a secret was printed")
		}
	}
	if s.cfg.Path == "" {
		return // what is in the files of a server is not for this test to read
	}
	files, err := filepath.Glob(s.cfg.Path + "*")
	ok(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		ok(t, err)
		if strings.Contains(string(b), string(secret.Secret.Reveal())) {
			t.Errorf("the secret is in %s", filepath.Base(f))
		}
	}
}

func testAuthenticate(t *testing.T, s *store) {
	ctx := t.Context()
	s.role(t, "r", "dev")
	p, secret := s.principal(t, "r", "a", "dev")
	_, other := s.principal(t, "r", "b")
	value := string(secret.Secret.Reveal())
	got, version, err := s.Authenticate(ctx, "r", p.ClientID, value)
	ok(t, err)
	if got.ID != p.ID || version != secret.Version || !slices.Equal(got.Roles, []string{"dev"}) {
		t.Errorf("%+v %s", got, version)
	}
	before := s.Epoch("r")
	s.set(t, "r", "b", false)
	for why, c := range map[string][2]string{
		"wrong secret":     {p.ClientID, string(other.Secret.Reveal())},
		"empty secret":     {p.ClientID, ""},
		"part":             {p.ClientID, value[:42]},
		"more":             {p.ClientID, value + "x"},
		"unknown client":   {"ffffffffffffffffffffffffffffffff", value},
		"name as client":   {"a", value},
		"no client":        {"", value},
		"client upper":     {strings.ToUpper(p.ClientID) + "F", value},
		"disabled":         {other.ClientID, string(other.Secret.Reveal())},
		"disabled, wrong":  {other.ClientID, value},
		"long secret":      {p.ClientID, strings.Repeat("x", 1<<20)},
		"broken secret":    {p.ClientID, "\xff\x00"},
		"injection":        {"' OR '1'='1", value},
		"client with NUL":  {p.ClientID + "\x00", value},
		"client with junk": {p.ClientID + "\xff", value},
	} {
		known, err := s.KnowsClient(ctx, "r", c[0])
		ok(t, err)
		if known != (c[0] == p.ClientID || c[0] == other.ClientID) {
			t.Errorf("%s: the client is known: %v", why, known)
		}
		p, version, err := s.Authenticate(ctx, "r", c[0], c[1])
		if err != directory.ErrBadCredentials || p.ID != "" || version != "" { //nolint:errorlint // exactly this one, whatever was wrong
			t.Errorf("%s: %v %q %v", why, p, version, err)
		}
	}
	if known, err := s.KnowsClient(ctx, "s", p.ClientID); err != nil || known {
		t.Errorf("a client of another realm: %v %v", known, err)
	}
	if s.Epoch("r") != before+1 {
		t.Error("authenticating moved the epoch")
	}
}
