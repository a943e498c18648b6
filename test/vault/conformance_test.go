package vault

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/vaulttest"
	"github.com/realmgate/realmgate/plugins/vault/parts"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/plugintest"
)

// Every part keeps to what the contract demands, in process and as the binary that is shipped.
func TestConformance(t *testing.T) {
	t.Parallel()
	second, first := newPeople(t, vaulttest.Dev(t)), newWorld(t, vaulttest.Dev(t))
	for w, version := range map[*world]string{second.world: "2", first: "1"} {
		w.Do(t, http.MethodPost, "sys/mounts/plugintest", map[string]any{"type": "kv", "options": map[string]any{"version": version}})
	}
	eventually(t, "the key-value engine is ready", func() bool {
		return second.Status(t, http.MethodGet, "plugintest/config", second.Token) == http.StatusOK
	})
	second.Do(t, http.MethodPost, "plugintest/data/x", map[string]any{"data": map[string]any{"a": "1"}})
	first.Do(t, http.MethodPost, "plugintest/x", map[string]any{"a": "1"})
	second.Do(t, http.MethodPost, "sys/mounts/transit", map[string]any{"type": "transit"})
	second.newKey(t, "k", "ecdsa-p256")
	cases := []plugintest.Case{
		storeCase(t, "version 2", second.world, first), storeCase(t, "version 1", first, second.world), brokerCase(t, second.world), identityCase(t, second),
	}
	plugintest.Run(t, plugintest.InProcess(parts.Implementations()...), cases...)
	plugintest.Run(t, plugintest.Binary(buildtest.Bundled(t, "vault")), cases...)
}

func (w *world) secrets() map[string]string {
	return map[string]string{"urn:realmgate-secret:ops:token": w.Token}
}

func storeCase(t *testing.T, name string, w, elsewhere *world) plugintest.Case {
	const other = "urn:realmgate-secret:ops:elsewhere"
	known := w.secrets()
	known[other] = elsewhere.Token
	return plugintest.Case{
		Name: name, Kind: sdk.KindSecretResolver, Type: "vault", Setup: sdk.Setup{Store: "s"}, Settings: string(w.asRoot().json(t)), Secrets: known,
		Elsewhere: string(elsewhere.base().with(settings{"token": other}).json(t)),
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			s, err := i.Resolve(ctx, ref("s:plugintest/x"))
			if err == nil && string(s.Reveal()) != `{"a":"1"}` {
				err = fmt.Errorf("it is %d bytes of something else", len(s.Reveal()))
			}
			return err
		},
	}
}

func brokerCase(t *testing.T, w *world) plugintest.Case {
	s := w.asRoot().with(settings{"key": "k"})
	delete(s, "max_age")
	return plugintest.Case{
		Kind: sdk.KindTokenBroker, Type: "vault-transit", Setup: realm1, Settings: string(s.json(t)), Secrets: w.secrets(),
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			token, err := i.Issue(ctx, grant())
			if err != nil {
				return err
			}
			st := sdk.State{Request: &sdk.Request{Realm: realm1.Realm, Scheme: "bearer", Token: token.Value}}
			if err := i.Step(ctx, &st); err != nil {
				return err
			}
			if c := st.Credential; c.Principal != grant().Principal || c.TokenID != "token-1" || c.Source != sdk.SourceInternal {
				return fmt.Errorf("verified %+v", c)
			}
			keys, until, err := i.Keys(ctx)
			if err == nil && (!bytes.Contains(keys, []byte(`"ES256"`)) || !until.After(time.Now())) {
				err = fmt.Errorf("the keys are %s until %v", keys, until)
			}
			return err
		},
	}
}

func identityCase(t *testing.T, w *people) plugintest.Case {
	return plugintest.Case{
		Kind: sdk.KindIdentityProvider, Type: "vault-token", Setup: sdk.Setup{Tenant: "t"}, Settings: string(w.asRoot().with(settings{"max_age": "PT10S"}).json(t)), Secrets: w.secrets(),
		Call: func(ctx context.Context, i *plugintest.Instance) error {
			st := sdk.State{Request: &sdk.Request{Scheme: "bearer", Token: w.token}}
			if err := i.Step(ctx, &st); err != nil {
				return err
			}
			if id := st.Identity; id.Subject != w.entity {
				return fmt.Errorf("identified %+v", id)
			}
			return nil
		},
	}
}
