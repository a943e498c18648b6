package generation_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/host/generation"
)

// TestSecretUnderAWrongKey: what somebody pasted where no plugin knows a setting is not repeated, and neither is what stands beside it
// on its line; a setting that is known to be no secret is.
func TestSecretUnderAWrongKey(t *testing.T) {
	t.Parallel()
	_, diags := generation.Build(t.Context(), load(t, `realm "a" {
  authentication {
    token_broker {
      type          = "symmetric-key"
      secert        = "PLAINSECRET12"
      signing_key   = "PLAINSECRET12"
      pin           = 271828182845
      hmac          = ["PLAINSECRET12", "PLAINSECRET12"]
      secret        = "PLAINSECRET12"
      max_token_generation = { passwrd = "PLAINSECRET12" }
    }
  }
}
realm "b" {
  authentication {
    token_broker {
      max_token_generation = "soon" # not PLAINSECRET12
      private_key          = "urn:realmgate-secret:nowhere:x"
    }
  }
}
`), newWorld(t, nil).Deps)
	text := fmt.Sprint(diags)
	if strings.Contains(text, "PLAINSECRET12") || strings.Contains(text, "271828182845") {
		t.Errorf("a secret is shown: %v", text)
	}
	for _, want := range []string{
		"5 |       secert        = …", "6 |       signing_key   = …", "7 |       pin           = …", "8 |       hmac          = …",
		"10 |       max_token_generation = …", `18 |       private_key          = "urn:realmgate-secret:nowhere:x"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing: %v", want, text)
		}
	}
	_, diags = generation.Build(t.Context(), load(t, `realm "b" {
  authentication {
    token_broker {
      max_token_generation = "soon" # not PLAINSECRET12
    }
  }
}
`), newWorld(t, nil).Deps)
	if text := fmt.Sprint(diags); !strings.Contains(text, `4 |       max_token_generation = "soon"`) || strings.Contains(text, "PLAINSECRET12") {
		t.Errorf("what is no secret is not shown: %v", text)
	}
}
