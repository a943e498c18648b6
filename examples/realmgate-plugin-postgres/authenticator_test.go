package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// vault is a secret store whose one secret is rotated, or which is away.
type vault struct {
	sdk.UnimplementedHost
	now string
}

func (v *vault) ResolveSecret(context.Context, sdk.SecretRef) (sdk.Secret, error) {
	if v.now == "" {
		return sdk.Secret{}, errors.New("the store is away")
	}
	return sdk.NewSecret([]byte(v.now)), nil
}

// A store that is away keeps no instance from being made, and each connection has the password of its time.
func TestPasswordIsThatOfTheConnection(t *testing.T) {
	ref, err := sdk.ParseSecretRef("urn:realmgate-secret:s:db")
	if err != nil {
		t.Fatal(err)
	}
	store := &vault{}
	ctx := sdk.WithHost(t.Context(), store)
	a, err := newAuthenticator(ctx, sdk.Setup{}, settings{URL: "postgres://gate@127.0.0.1:1/app?sslmode=disable", Password: ref, MaxConnections: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	// By the pool: the password is asked for with the context of the call.
	if err := a.Check(ctx); err == nil || !strings.Contains(err.Error(), "the store is away") {
		t.Errorf("without the store: %v", err)
	}
	for _, store.now = range []string{"first", "second"} {
		c := a.pool.Config()
		if err := c.BeforeConnect(ctx, c.ConnConfig); err != nil || c.ConnConfig.Password != store.now {
			t.Errorf("%s: it connects with another password, %v", store.now, err)
		}
	}
}

func TestParse(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://gate@db/app":                 "",
		"postgres://gate@db/app?sslmode=disable": "",
		"postgres://gate:canary@db/app":          "must not hold the password",
		"postgres://gate@db/app?password=canary": "must not hold the password",
		"postgres://gate@db/app?sslmode=prefer":  "sslmode must be",
		"postgres://gate@db/app?sslmode=canary":  "a parameter",
		"postgres://db/app":                      "must be like",
		"postgres://gate@db":                     "must be like",
		"mysql://gate@db/app":                    "must be like",
	} {
		c, err := parse(address)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", address, err)
			} else if secure := c.ConnConfig.TLSConfig != nil; secure == strings.Contains(address, "disable") || len(c.ConnConfig.Fallbacks) > 0 {
				t.Errorf("%s: TLS is %v, with %d ways to fall back", address, secure, len(c.ConnConfig.Fallbacks))
			} else if secure && c.ConnConfig.TLSConfig.ServerName != "db" {
				t.Errorf("%s: the server's name is not checked", address)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}
