package catalog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// TestSecretsAreNotTold: what the host resolved for an instance is in nothing that it says, be it of settings, a denial or a failure.
func TestSecretsAreNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil, source(t, "p", "good"))
	h := w.mapper(t, "tell the key", login)
	const secret = "operator login"
	_, err := w.mapSubject(t, h, "r1", "deny")
	d := sdk.AsDenial(err)
	if d == nil || d.Reason != "bad_key" || d.Detail != "the key is [secret]" {
		t.Errorf("denied: %v", err)
	}
	if d != nil && strings.Contains(fmt.Sprint(d.Challenge), secret) {
		t.Errorf("the challenge is %v", d.Challenge)
	}
	for range enough { // until the log has it
		_, err = w.mapSubject(t, h, "r1", "fail")
	}
	if err == nil || strings.Contains(err.Error(), secret[:13]) || strings.Contains(err.Error(), fmt.Sprintf("%x", secret)) || !strings.Contains(err.Error(), "[secret]") {
		t.Errorf("failed: %v", err)
	}
	if got := h.Hide("of " + secret + "!"); got != "of [secret]!" {
		t.Error(got)
	}
	if got := (Handle{}).Hide(secret); got != secret {
		t.Error(got)
	}
	_, ds := w.Configure(t.Context(), []Instance{early("refuse with the key")})
	if text := fmt.Sprint(ds); len(ds) != 1 || strings.Contains(text, secret) || !strings.Contains(text, "is no key: ") {
		t.Errorf("refused: %v", text)
	}
	if text := w.log.String(); strings.Contains(text, secret[:13]) {
		t.Errorf("the log has it: %s", text)
	}
}

// TestConfidedIsBounded: the secrets that were resolved last are known.
func TestConfidedIsBounded(t *testing.T) {
	t.Parallel()
	var c confided
	own, err := sdk.ParseSecretRef("urn:realmgate-secret:s:own")
	if err != nil {
		t.Fatal(err)
	}
	c.note(sdk.NewSecret([]byte("the secret of the settings")), own, true)
	c.note(sdk.NewSecret([]byte("the first secret")), sdk.SecretRef{}, false)
	for n := range maxConfided - 1 {
		c.note(sdk.NewSecret(fmt.Appendf(nil, "another secret %d", n)), sdk.SecretRef{}, false)
	}
	c.note(sdk.NewSecret([]byte("the first secret")), sdk.SecretRef{}, false) // again: it is the latest
	c.note(sdk.NewSecret([]byte("the last secret")), sdk.SecretRef{}, false)
	if got := c.hide("the first secret, the last secret"); got != "[secret], [secret]" {
		t.Error(got)
	}
	if got := c.hide("the secret of the settings"); got != "[secret]" {
		t.Errorf("however many others come: %s", got)
	}
	if len(c.all) != maxConfided {
		t.Errorf("%d are kept", len(c.all))
	}
}
