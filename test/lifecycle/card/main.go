package main

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

// build is set by the linker.
var build = "none"

// broken says what is wrong with a build: it ends soon after it has been asked for the first time ("dies"), offers something else
// ("other"), or is well in all but that it takes no card ("fails"), or answers none and does not let go ("hangs"). The linker
// sets it, too.
var broken string

type provider struct {
	Key sdk.SecretRef `json:"key" doc:"key of the cards"`
	Tag string        `json:"tag" doc:"put before the name on a card"`
}

func newProvider(_ context.Context, _ sdk.Setup, p provider) (*provider, error) { return &p, nil }

// Identify takes a card.
func (p *provider) Identify(ctx context.Context, r sdk.Request) (sdk.Identity, error) {
	said, mac, ok := cutLast(r.Token)
	name, role, _ := strings.Cut(said, "~")
	if !ok || name == "" || role == "" {
		return sdk.Identity{}, sdk.NotMine()
	}
	key, err := p.Key.Value(ctx)
	if err != nil {
		return sdk.Identity{}, err
	}
	h := hmac.New(sha256.New, key.Reveal())
	_, _ = h.Write([]byte(said)) // never fails
	if sum := hex.EncodeToString(h.Sum(nil)); !hmac.Equal([]byte(sum), []byte(mac)) {
		return sdk.Identity{}, sdk.Deny("card_forged", "this is no card of ours")
	}
	switch broken {
	case "dies":
		dies()
	case "fails":
		if name == waits {
			<-ctx.Done()
		}
		return sdk.Identity{}, errors.New("this build takes no cards")
	case "hangs":
		time.Sleep(time.Hour)
	}
	claims, err := json.Marshal(map[string]string{"sub": p.Tag + "." + name})
	return sdk.Identity{Subject: name, Roles: []string{role, build}, Claims: sdk.NewClaims(claims), Expires: time.Now().Add(time.Minute)}, err
}

// dies ends the process in a moment, counted from the first time. Before it serves nobody asks, so that it has begun to.
var dies = sync.OnceFunc(func() { time.AfterFunc(300*time.Millisecond, func() { os.Exit(7) }) })

// waits is the name on cards that the build which fails keeps waiting for as long as they may take.
const waits = "waits"

func cutLast(s string) (before, after string, ok bool) {
	n := strings.LastIndexByte(s, '~')
	if n < 0 {
		return s, "", false
	}
	return s[:n], s[n+1:], true
}

func main() {
	typ := cmp.Or(os.Getenv("CARD_TYPE"), "card")
	if broken == "other" {
		typ = "other"
	}
	serve.Main("card", build, sdk.IdentityProviderType(typ, newProvider))
}
