package manyrealms

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Shape is what a realm is like.
type Shape int

// The shapes, in the order in which realms have them.
const (
	Symmetric     Shape = iota // internal: a secret of its own in a store, the directory
	KeyPair                    // internal: an Ed25519 key of its own in a store, the directory
	OIDC                       // external: a tenant of its own, claims and roles mapped, no directory
	Introspection              // external: a tenant of its own, the directory
	Mixed                      // tokens of its own like Symmetric, or of a tenant that ten realms share; the directory
	Shapes                     // how many there are
)

// sharing is how many realms of the last shape use one tenant.
const sharing = 10

// Of gives the shape of a realm by its number.
func Of(n int) Shape { return Shape(n % int(Shapes)) }

// Name gives the name of a realm by its number.
func Name(n int) string { return fmt.Sprintf("realm-%05d", n) }

// Head is what the realms refer to: the store of their keys, in a folder, and what they inherit.
func Head(secrets string) string {
	return fmt.Sprintf(`
secret_store "keys" {
  type = "file"
  dir  = %q
}
authentication {
  token_broker {
    max_token_generation = "PT1H"
  }
}
tenant_defaults {
  identity_provider {
    audience        = ["gate"]
    role_claim_path = "realm_access/roles"
  }
  principal_mapper {
    name_claim_path = "preferred_username"
  }
  principal_roles_mapper {
    filter = "^(?!offline_access$|uma_authorization$).*"
    mapping {
      regex       = "^app-(.*)$"
      replacement = "PRINCIPAL_ROLE:$1"
    }
  }
}
`, secrets)
}

// Realm gives the blocks of a realm by its number; the provider of its foreign tokens is below the URL issuer.
func Realm(n int, issuer string) string {
	name, file := Name(n), key(n)
	r := strings.NewReplacer("NAME", name, "KEY", file, "TENANT", tenant(n), "ISSUER", issuer)
	switch Of(n) {
	case Symmetric:
		return r.Replace(symmetric)
	case KeyPair:
		return r.Replace(keyPair)
	case OIDC:
		return r.Replace(oidc)
	case Introspection:
		return r.Replace(introspection)
	}
	if first := n/int(Shapes)%sharing == 0; first {
		return r.Replace(shared + mixed)
	}
	return r.Replace(mixed)
}

// Realms gives the blocks of the first n realms.
func Realms(n int, issuer string) string {
	var out strings.Builder
	for i := range n {
		out.WriteString(Realm(i, issuer))
	}
	return out.String()
}

func key(n int) string { return fmt.Sprintf("key-%05d", n) }

// tenant names the tenant of a realm.
func tenant(n int) string {
	if Of(n) == Mixed {
		return fmt.Sprintf("shared-%04d", n/int(Shapes)/sharing)
	}
	return Name(n)
}

const (
	symmetric = `
realm "NAME" {
  hosts = ["NAME.example.com"]
  authentication {
    token_broker {
      type   = "symmetric-key"
      secret = "urn:realmgate-secret:keys:KEY"
    }
  }
}
`
	keyPair = `
realm "NAME" {
  hosts    = ["NAME.example.com"]
  audience = ["https://NAME.example.com", "gate"]
  authentication {
    timeout = "5s"
    token_broker {
      type                 = "key-pair"
      private_key          = "urn:realmgate-secret:keys:KEY"
      max_token_generation = "PT15M"
    }
    token_service {
      scope_aliases = { catalog = "PRINCIPAL_ROLE:ALL" }
    }
  }
}
`
	oidc = `
tenant "TENANT" {
  identity_provider {
    issuer = "ISSUER/TENANT"
  }
  principal_mapper {
    id_claim_path = "sub"
  }
}
realm "NAME" {
  hosts  = ["NAME.example.com", "NAME.example.org"]
  tenant = "TENANT"
  authentication {
    type = "external"
    authenticator {
      type = "claims"
    }
  }
}
`
	introspection = `
tenant "TENANT" {
  identity_provider {
    type          = "introspection"
    endpoint      = "ISSUER/TENANT/introspect"
    audience      = ["gate"]
    client_id     = "gate"
    client_secret = "urn:realmgate-secret:keys:KEY"
  }
}
realm "NAME" {
  hosts  = ["NAME.example.com"]
  tenant = "TENANT"
  authentication {
    type = "external"
  }
}
`
	shared = `
tenant "TENANT" {
  identity_provider {
    issuer = "ISSUER/TENANT"
  }
}
`
	mixed = `
realm "NAME" {
  hosts  = ["NAME.example.com"]
  tenant = "TENANT"
  authentication {
    type = "mixed"
    cache {
      max_age = "30s"
    }
    token_broker {
      type   = "symmetric-key"
      secret = "urn:realmgate-secret:keys:KEY"
    }
  }
}
`
)

// WriteKeys writes the secrets of the first n realms into a folder that is there.
func WriteKeys(dir string, n int) error {
	for i := range n {
		var text []byte
		switch sum := sha256.Sum256([]byte(key(i))); Of(i) {
		case KeyPair:
			der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(sum[:]))
			if err != nil {
				return err
			}
			text = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		case OIDC: // it has none
			continue
		default:
			text = []byte(hex.EncodeToString(sum[:]))
		}
		if err := os.WriteFile(filepath.Join(dir, key(i)), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
