package vault

import (
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/vaulttest"
	"github.com/realmgate/realmgate/plugins/default/broker"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/keyset"
)

// BenchmarkIssue measures how many tokens a broker issues whose key is in a server on this machine, beside one whose key is in
// its own memory (which has neither PS256 nor ES384); and how many it verifies, which the server has no part in.
func BenchmarkIssue(b *testing.B) {
	w := transitWorld(b, vaulttest.Dev(b))
	ephemeral := &broker.Ephemeral{}
	keyPair := func(algorithm string) sdk.TokenBroker {
		key, err := keyset.NewKey(algorithm, 0)
		if err != nil {
			b.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			b.Fatal(err)
		}
		w.host.set(algorithm, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
		s := broker.KeyPairSettings{PrivateKey: ref("ops:" + algorithm), MaxGeneration: sdk.Duration(time.Hour)}
		out, err := ephemeral.NewKeyPair(w.ctx, realm1, s)
		if err != nil {
			b.Fatal(err)
		}
		return out
	}
	inTransit := func(algorithm, typ string) sdk.TokenBroker {
		w.newKey(b, algorithm, typ)
		return w.newBroker(b, w.signing(algorithm, settings{"algorithm": algorithm}))
	}
	for _, x := range []struct {
		name   string
		broker sdk.TokenBroker
	}{
		{"key-pair/ES256", keyPair("ES256")}, {"vault-transit/ES256", inTransit("ES256", "ecdsa-p256")},
		{"key-pair/EdDSA", keyPair("EdDSA")}, {"vault-transit/EdDSA", inTransit("EdDSA", "ed25519")},
		{"key-pair/RS256", keyPair("RS256")}, {"vault-transit/RS256", inTransit("RS256", "rsa-2048")},
		{"vault-transit/PS256", inTransit("PS256", "rsa-2048")}, {"vault-transit/ES384", inTransit("ES384", "ecdsa-p384")},
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
