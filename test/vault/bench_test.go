package vault

import (
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/vaulttest"
	"github.com/realmgate/realmgate/plugins/default/broker"
	"github.com/realmgate/realmgate/sdk"
)

// BenchmarkIssue measures how many tokens a broker issues whose key is in a server on this machine, beside one whose key is in
// its own memory; and how many it verifies, which the server has no part in.
func BenchmarkIssue(b *testing.B) {
	w := transitWorld(b, vaulttest.Dev(b))
	ephemeral := &broker.Ephemeral{}
	local := broker.KeyPairSettings{MaxGeneration: sdk.Duration(time.Hour)}
	es, err := ephemeral.NewKeyPair(w.ctx, realm1, local)
	if err != nil {
		b.Fatal(err)
	}
	rs, err := ephemeral.NewRSA(w.ctx, realm1, local)
	if err != nil {
		b.Fatal(err)
	}
	w.newKey(b, "es", "ecdsa-p256")
	w.newKey(b, "rs", "rsa-2048")
	w.newKey(b, "ed", "ed25519")
	for _, x := range []struct {
		name   string
		broker sdk.TokenBroker
	}{
		{"key-pair/ES256", es}, {"vault-transit/ES256", w.newBroker(b, w.signing("es", nil))},
		{"key-pair/RS256", rs}, {"vault-transit/RS256", w.newBroker(b, w.signing("rs", nil))},
		{"vault-transit/EdDSA", w.newBroker(b, w.signing("ed", nil))},
	} {
		token, err := x.broker.Issue(w.ctx, grant())
		if err != nil {
			b.Fatal(err)
		}
		b.Run("issue/"+x.name, func(b *testing.B) {
			b.SetParallelism(8)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := x.broker.Issue(w.ctx, grant()); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
		b.Run("verify/"+x.name, func(b *testing.B) {
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := x.broker.Verify(w.ctx, bearer(token.Value)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
