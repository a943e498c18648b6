package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/host/limit"
	"github.com/realmgate/realmgate/sdk"
)

// keyLines gives event and kid of the lines about keys.
func keyLines(t *testing.T, text string) string {
	t.Helper()
	var out []string
	for l := range strings.Lines(text) {
		var m struct {
			Event     string `json:"event"`
			KeyID     string `json:"key_id"`
			RequestID string `json:"request_id"`
			Client    string `json:"client"`
		}
		if err := json.Unmarshal([]byte(l), &m); err != nil {
			t.Fatal(err)
		}
		if m.KeyID != "" {
			out = append(out, m.Event+" "+m.KeyID)
		}
		if m.KeyID != "" && m.RequestID+m.Client != "" {
			t.Errorf("a change of keys is put down to a caller: %s", l)
		}
	}
	return strings.Join(out, ", ")
}

// The audit log has which keys are published, begin to sign and retire, once each, as the daemon sees it.
func TestKeysAreAudited(t *testing.T) {
	var out bytes.Buffer
	var passed atomic.Int64 // a look at the keys may go on beside
	clock := func() time.Time { return now.Add(time.Duration(passed.Load())) }
	other := strings.ReplaceAll(ecJWK, `"kid":"2"`, `"kid":"3"`)
	p := &publisher{sets: []string{`{"keys":[` + rsaJWK + `]}`, twoKeys, `{"keys":[` + ecJWK + `,` + other + `]}`}}
	f := newFixture()
	f.Keys, f.Now = p, clock
	kid := "1"
	f.broker.change = func(t *sdk.Token) {
		t.Value = base64.RawURLEncoding.EncodeToString([]byte(`{"kid":"`+kid+`"}`)) + ".e30.c2ln"
		t.Expires = clock().Add(time.Hour)
	}
	s := f.guarded(t, &out, limit.Rules{}).service(t)
	step := func(want string) {
		t.Helper()
		for range 3 {
			if w, body := do(t, s, post(goodForm().Encode())); w.Code != http.StatusOK {
				t.Fatalf("%d %v", w.Code, body)
			}
			getKeys(s)
		}
		if got := keyLines(t, out.String()); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		out.Reset()
		passed.Add(int64(s.c.Timeout + askAgain))
	}
	step("key.sign 1, key.publish 1")
	step("key.publish 2")
	kid = "2"
	step("key.sign 2, key.publish 3, key.retire 1")
	kid = "3"
	if do(t, s, post(goodForm().Encode())); keyLines(t, out.String()) != "key.sign 3" {
		t.Errorf("%s", &out)
	}
	kid = "2" // of a request that was under way
	if do(t, s, post(goodForm().Encode())); keyLines(t, out.String()) != "key.sign 3" {
		t.Errorf("%s", &out)
	}
	passed.Add(int64(s.c.Timeout)) // an operator went back to it
	if do(t, s, post(goodForm().Encode())); keyLines(t, out.String()) != "key.sign 3, key.sign 2" {
		t.Errorf("%s", &out)
	}
}

// No token leaves whose key could not be noted; keys are published all the same, and noted later.
func TestKeysOnAFullDisk(t *testing.T) {
	disk := &brokenDisk{broken: true}
	f := newFixture()
	f.Keys = &publisher{sets: []string{twoKeys}}
	clock := now
	f.Now = func() time.Time { return clock }
	f.broker.change = func(t *sdk.Token) { t.Value, t.Expires = "eyJraWQiOiIxIn0.e30.c2ln", clock.Add(time.Hour) }
	s := f.guarded(t, disk, limit.Rules{}).service(t)
	if w := getKeys(s); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w, body := do(t, s, post(goodForm().Encode())); w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %v", w.Code, body)
	}
	disk.broken = false
	clock = clock.Add(askAgain)
	getKeys(s)
	do(t, s, post(goodForm().Encode()))
	if got := keyLines(t, disk.String()); got != "key.publish 1, key.publish 2, key.sign 1" {
		t.Errorf("%s", got)
	}
}

type brokenDisk struct {
	bytes.Buffer
	broken bool
}

func (d *brokenDisk) Write(p []byte) (int, error) {
	if d.broken {
		return 0, errors.New("disk full")
	}
	return d.Buffer.Write(p)
}

// Whoever issues tokens sees a change of the published keys, too, if nobody fetches them.
func TestKeysAreNotedWhereTokensAreIssued(t *testing.T) {
	p := &publisher{sets: []string{twoKeys}}
	f := newFixture()
	f.Keys = p
	s := f.service(t)
	do(t, s, post(goodForm().Encode()))
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.notes.publishing.Lock()
		n := len(s.notes.kids)
		s.notes.publishing.Unlock()
		if n == 2 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d keys are noted", n)
		}
	}
}

// Opaque tokens name no key.
func TestKidOf(t *testing.T) {
	for head, want := range map[string]string{
		"": "", "opaque": "", "e30": "", "%": "", base64.RawURLEncoding.EncodeToString([]byte(`{"kid":7}`)): "",
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"k"}`)): "k",
	} {
		if got := kidOf(head); got != want {
			t.Errorf("%q: %q, want %q", head, got, want)
		}
	}
}
