package secrets

import (
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func ref(t testing.TB, text string) sdk.SecretRef {
	t.Helper()
	r, err := sdk.ParseSecretRef("urn:realmgate-secret:store:" + text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEnv(t *testing.T) {
	t.Setenv("UNLISTED", "of the process")
	env, err := NewEnv(t.Context(), sdk.Setup{Environment: map[string]sdk.Secret{
		"KEY":   sdk.NewSecret([]byte("hunter2\n")),
		"EMPTY": sdk.NewSecret(nil),
	}, Unset: []string{"GONE"}}, EnvSettings{})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ want, err string }{
		"KEY":            {want: "hunter2\n"},
		"EMPTY":          {},
		"KEY?=version=1": {err: "keeps no versions"},
		"GONE":           {err: "not set in the daemon's environment"},
		"UNLISTED":       {err: "not among those"},
		"PATH":           {err: "not among those"},
		"key":            {err: "not among those"},
	}
	for text, tt := range tests {
		s, err := env.Resolve(t.Context(), ref(t, text))
		if tt.err == "" && (err != nil || string(s.Reveal()) != tt.want) {
			t.Errorf("%s: %q, %v", text, s.Reveal(), err)
		}
		if tt.err == "" {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.err) || sdk.AsDenial(err) != nil {
			t.Errorf("%s: %v, want %q and no denial", text, err, tt.err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats the secret: %v", text, err)
		}
	}
}
