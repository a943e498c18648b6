package secrets

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

func newKey(b byte) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune(b)), keySize)))
}

func TestParseKeyring(t *testing.T) {
	t.Parallel()
	a, b := newKey('a'), newKey('b')
	for text, want := range map[string]int{a: 1, a + "\n": 1, "# note\r\n\n " + a + " \r\n" + b: 2} {
		ring, err := parseKeyring([]byte(text))
		if err != nil || len(ring) != want {
			t.Errorf("%q: %d keys, %v", text, len(ring), err)
		}
	}
	for text, want := range map[string]string{
		"": "no key", "# " + a: "no key", "hunter2": "line 1", a[:len(a)-4]: "line 1", a + "\n" + a: "line 2 repeats", a + " " + b: "line 1",
		"\n" + strings.ReplaceAll(a, "Y", "-"): "line 2", base64.StdEncoding.EncodeToString(make([]byte, 33)): "line 1",
	} {
		ring, err := parseKeyring([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || ring != nil {
			t.Errorf("%q: %v, want %q", text, err, want)
		} else if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), a) {
			t.Errorf("%q: the error repeats the line: %v", text, err)
		}
	}
	var many []string
	for n := range maxKeys + 1 {
		many = append(many, newKey(byte('a'+n)))
	}
	if _, err := parseKeyring([]byte(strings.Join(many, "\n"))); err == nil {
		t.Error("keys without a bound are taken")
	}
}

func TestSealedKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	settings := sealedSettings(t)
	ctx, log := logged(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := NewSealed(t.Context(), sdk.Setup{Store: "store"}, settings)
			if err != nil {
				t.Error(err)
				return
			}
			write(t, s, "x", "value")
			_ = s.Close()
		})
	}
	wg.Wait()
	s, err := NewSealed(ctx, sdk.Setup{Store: "store"}, settings)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wantSealed(t, s, "x", "value")
	if log.Len() > 0 {
		t.Errorf("another key was made: %s", log)
	}
	if info, err := os.Stat(settings.KeyFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	left, err := os.ReadDir(filepath.Dir(settings.KeyFile))
	if err != nil || len(left) != 1 {
		t.Errorf("%v lie beside the key, %v", left, err)
	}
}

func TestSealedKeyIsMissing(t *testing.T) {
	t.Parallel()
	settings := sealedSettings(t)
	ctx, log := logged(t)
	s, err := NewSealed(ctx, sdk.Setup{Store: "store"}, settings)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.WriteSecret(ctx, ref(t, "x"), []byte("value")); err != nil || !strings.Contains(log.String(), "keep a copy") {
		t.Fatalf("%v, %s", err, log)
	}
	away := settings.KeyFile + ".away"
	if err := os.Rename(settings.KeyFile, away); err != nil {
		t.Fatal(err)
	}
	wantSealed(t, s, "x", "!the key is missing")
	if _, err := s.WriteSecret(t.Context(), ref(t, "x"), nil); err == nil {
		t.Error("written without a key")
	}
	_, err = NewSealed(t.Context(), sdk.Setup{Store: "store"}, settings)
	if err == nil || !strings.Contains(err.Error(), "the key is missing") || sdk.Problems(err)[0].Path != "/key_file" {
		t.Errorf("opened without its key: %v", err)
	}
	if _, err := os.Stat(settings.KeyFile); err == nil {
		t.Error("another key was made")
	}
	put(t, settings.KeyFile, newKey('a'), 0o600)
	wantSealed(t, s, "x", "!sealed with the key")
	if _, err := NewSealed(t.Context(), sdk.Setup{Store: "store"}, settings); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("opened with another key: %v", err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604} {
		if err := errors.Join(os.Rename(away, settings.KeyFile), os.Chmod(settings.KeyFile, mode)); err != nil {
			t.Fatal(err)
		}
		if mode == 0o640 && os.Getuid() == 0 {
			mode = 0o660 // the group may read what root owns
			_ = os.Chmod(settings.KeyFile, mode)
		}
		wantSealed(t, s, "x", "!its mode is")
		_ = os.Rename(settings.KeyFile, away)
	}
	if err := errors.Join(os.Rename(away, settings.KeyFile), os.Chmod(settings.KeyFile, 0o600)); err != nil {
		t.Fatal(err)
	}
	wantSealed(t, s, "x", "value")
}

func TestSealedKeyRotation(t *testing.T) {
	t.Parallel()
	settings := sealedSettings(t)
	old, next := newKey('a'), newKey('b')
	put(t, settings.KeyFile, old, 0o600)
	s := openSealed(t, "store", settings)
	write(t, s, "x", "1")
	write(t, s, "y", "1")
	put(t, settings.KeyFile, next+"\n"+old+"\n", 0o600)
	wantSealed(t, s, "x", "1")
	write(t, s, "x", "2")
	put(t, settings.KeyFile, next, 0o600)
	wantSealed(t, s, "x", "2")
	wantSealed(t, s, "x?=version=1", "1") // was sealed anew with the write
	wantSealed(t, s, "y", "!sealed with the key")
	put(t, settings.KeyFile, old, 0o600)
	wantSealed(t, s, "x", "!sealed with the key")
	wantSealed(t, s, "y", "1")
}

// hostSecrets is a host that knows some secrets, and nothing else.
type hostSecrets struct {
	sdk.Host
	values map[string]string
}

func (h hostSecrets) ResolveSecret(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	v, ok := h.values[ref.String()]
	if !ok {
		return sdk.Secret{}, errors.New("there is no such secret")
	}
	return sdk.NewSecret([]byte(v)), nil
}

func TestSealedKeyFromAStore(t *testing.T) {
	t.Parallel()
	settings := sealedSettings(t)
	settings.KeyFile, settings.Key = "", ref(t, "KEY")
	host := hostSecrets{values: map[string]string{settings.Key.String(): newKey('a')}}
	ctx := sdk.WithHost(t.Context(), host)
	s, err := NewSealed(ctx, sdk.Setup{Store: "sealed"}, settings)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x, err := sdk.ParseSecretRef("urn:realmgate-secret:sealed:x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteSecret(ctx, x, []byte("value")); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Resolve(ctx, x); err != nil || string(v.Reveal()) != "value" {
		t.Errorf("%q, %v", v.Reveal(), err)
	}
	delete(host.values, settings.Key.String())
	if _, err := s.Resolve(ctx, x); err == nil {
		t.Error("resolved without a key")
	}
}

func TestSealedSettings(t *testing.T) {
	t.Parallel()
	good := sealedSettings(t)
	for name, tt := range map[string]struct {
		s    SealedSettings
		path string
	}{
		"no key":           {SealedSettings{Dir: good.Dir}, "/key_file"},
		"two keys":         {SealedSettings{Dir: good.Dir, KeyFile: good.KeyFile, Key: ref(t, "KEY")}, "/key_file"},
		"key in folder":    {SealedSettings{Dir: good.Dir, KeyFile: filepath.Join(good.Dir, "sub", "..", "key")}, "/key_file"},
		"folder is a file": {SealedSettings{Dir: "sealed_test.go", KeyFile: good.KeyFile}, "/dir"},
		"key is a folder":  {SealedSettings{Dir: good.Dir, KeyFile: filepath.Dir(good.Dir)}, "/key_file"},
	} {
		s, err := NewSealed(t.Context(), sdk.Setup{Store: "store"}, tt.s)
		if err == nil || s != nil {
			t.Errorf("%s: opened", name)
		} else if at := sdk.Problems(err)[0].Path; at != tt.path {
			t.Errorf("%s: %v at %s, want %s", name, err, at, tt.path)
		}
	}
	put(t, good.KeyFile, "hunter2", 0o600)
	_, err := NewSealed(t.Context(), sdk.Setup{Store: "store"}, good)
	if err == nil || sdk.Problems(err)[0].Path != "/key_file" || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a file that holds no key: %v", err)
	}
}
