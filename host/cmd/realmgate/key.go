package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/keyset"
)

type keyCmd struct {
	Generate keyGenerate `cmd:"" help:"Make the first key of a key folder; it signs at once."`
	Rotate   keyRotate   `cmd:"" help:"Add a key that is published now, signs later, and lets the former ones retire once their tokens have expired."`
	List     keyList     `cmd:"" help:"List the keys of a key folder and what they do now."`
	Prune    keyPrune    `cmd:"" help:"Remove retired keys, as rotate does too."`
}

// keyFolder is what every command on keys takes. They need no daemon: those that use the folder notice.
type keyFolder struct {
	Dir   string `required:"" xor:"folder" placeholder:"PATH" type:"path" help:"The key folder: key_dir of a token broker of the type key-pair."`
	Realm string `required:"" xor:"folder" short:"r" help:"The realm whose key folder it is, by the configuration, instead of --dir."`
	JSON  bool   `help:"Print JSON."`
}

// find looks the folder of a realm up.
func (k *keyFolder) find(c *cli, std streams) error {
	if k.Realm == "" {
		return nil
	}
	brokers, name, err := keyBrokers(c, std)
	if err != nil {
		return err
	}
	for _, b := range brokers {
		if b.realm != k.Realm {
			continue
		}
		if b.KeyDir == "" {
			return fmt.Errorf("realm %s has no key_dir in %s", k.Realm, name)
		}
		k.Dir = b.KeyDir
		return nil
	}
	return fmt.Errorf("%s has no realm %s that issues tokens", name, k.Realm)
}

func (k keyFolder) print(std streams, v any, table func(w io.Writer)) error {
	return door{JSON: k.JSON}.print(std, v, table)
}

// keyView is a key as it is shown.
type keyView struct {
	keyset.Entry
	State keyset.State `json:"state"`
}

func keyViews(entries []keyset.Entry, now time.Time) []keyView {
	out := make([]keyView, len(entries))
	for i, s := range keyset.States(entries, now) {
		out[i] = keyView{entries[i], s}
	}
	return out
}

func keyRows(w io.Writer, keys []keyView) {
	row(w, "KID", "ALGORITHM", "STATE", "CREATED", "SIGNS FROM", "RETIRES AT")
	for _, k := range keys {
		retires := "-"
		if !k.RetireAt.IsZero() {
			retires = k.RetireAt.Format(time.RFC3339)
		}
		row(w, k.ID, k.Algorithm, k.State, k.Created.Format(time.RFC3339), k.SignFrom.Format(time.RFC3339), retires)
	}
}

// show prints the whole folder.
func (k keyFolder) show(std streams) error {
	entries, err := keyset.List(k.Dir)
	if err != nil {
		return err
	}
	keys := keyViews(entries, time.Now())
	return k.print(std, keys, func(w io.Writer) { keyRows(w, keys) })
}

type keyGenerate struct {
	keyFolder
	Algorithm string `enum:"ES256,RS256,EdDSA" default:"ES256" help:"ES256, RS256 or EdDSA; the type rsa-key-pair takes RS256 only."`
	Bits      int    `help:"Length of an RSA key; 2048 without it."`
}

// Run makes the key.
func (k keyGenerate) Run(c *cli, std streams) error {
	if err := k.find(c, std); err != nil {
		return err
	}
	if _, err := keyset.Generate(k.Dir, keyset.NewKeySpec{Algorithm: k.Algorithm, Bits: k.Bits}, time.Now()); err != nil {
		return err
	}
	return k.show(std)
}

type keyRotate struct {
	keyFolder
	Algorithm          string        `enum:",ES256,RS256,EdDSA" default:"" help:"Of the new key; that of the newest one without it."`
	Bits               int           `help:"Length of an RSA key; that of the newest one without it."`
	Wait               sdk.Duration  `default:"10m" help:"How long the new key is published before it signs: longer than anybody keeps published keys (5m)."`
	MaxTokenGeneration *sdk.Duration `help:"How long tokens live at most: the former keys verify for as long, and five minutes more, once the new one signs. Without it, the greatest max_token_generation of the realms that use the folder, by the configuration."`
	Overlap            *sdk.Duration `help:"How long the former keys verify once the new one signs, instead. 0s with --wait 0s ends all tokens of the former keys."`
}

const (
	// publishedFor is for how long a broker lets others keep its keys.
	publishedFor = 5 * time.Minute
	// overlapMargin is for clocks that differ, and for nodes that notice a rotation late.
	overlapMargin = 5 * time.Minute
)

// Run adds the key.
func (k keyRotate) Run(c *cli, std streams) error {
	if err := k.find(c, std); err != nil {
		return err
	}
	r := keyset.Rotation{NewKeySpec: keyset.NewKeySpec{Algorithm: k.Algorithm, Bits: k.Bits}, Wait: k.Wait.Std()}
	if k.Overlap != nil {
		r.Overlap = k.Overlap.Std()
	}
	if k.MaxTokenGeneration == nil && k.Overlap == nil {
		longest, err := k.longest(c, std)
		if err != nil {
			return err
		}
		k.MaxTokenGeneration = &longest
	}
	if k.Overlap == nil {
		r.Overlap = k.MaxTokenGeneration.Std() + overlapMargin
	}
	if _, err := keyset.Rotate(k.Dir, r, time.Now()); err != nil {
		return err
	}
	if r.Wait < publishedFor {
		fmt.Fprintf(std.err, "realmgate: note: others may keep the published keys for %v, and refuse tokens of the new key until then\n", publishedFor)
	}
	if k.Overlap != nil && (k.MaxTokenGeneration == nil || r.Overlap < k.MaxTokenGeneration.Std()) {
		fmt.Fprintf(std.err, "realmgate: note: the former keys retire %v after the new one signs: tokens that live longer are refused from then on\n", r.Overlap)
	}
	return k.show(std)
}

// longest finds how long the tokens live at most that keys of the folder sign.
func (k keyRotate) longest(c *cli, std streams) (longest sdk.Duration, err error) {
	brokers, name, err := keyBrokers(c, std)
	if err != nil {
		return 0, err
	}
	used := false
	for _, b := range brokers {
		if sameFolder(b.KeyDir, k.Dir) {
			used, longest = true, max(longest, b.MaxGeneration)
		}
	}
	if !used {
		return 0, fmt.Errorf("no realm in %s has the key_dir %s: say with --config where one does, or with --max-token-generation how long its tokens live at most", name, k.Dir)
	}
	return longest, nil
}

// keyBroker is what a token broker's settings say about its key folder.
type keyBroker struct {
	realm         string
	KeyDir        string       `json:"key_dir"`
	MaxGeneration sdk.Duration `json:"max_token_generation"`
}

// keyBrokers reads the configuration for the brokers of all realms that issue tokens; name is what to call it.
func keyBrokers(c *cli, std streams) (out []keyBroker, name string, err error) {
	cfg, name, err := c.load(std, nil)
	if err != nil {
		return nil, name, err
	}
	for _, r := range cfg.Realms {
		if r.Authentication.Type == config.External {
			continue
		}
		b := keyBroker{realm: r.Name, MaxGeneration: sdk.Duration(time.Hour)} // the default of the bundled brokers
		if err := json.Unmarshal(r.Authentication.TokenBroker.Settings, &b); err != nil {
			return nil, name, fmt.Errorf("realm %s: token_broker: key_dir or max_token_generation cannot be read: %w", r.Name, err)
		}
		out = append(out, b)
	}
	return out, name, nil
}

// sameFolder compares two paths, whatever they are called.
func sameFolder(a, b string) bool {
	one, err1 := os.Stat(a)
	two, err2 := os.Stat(b)
	return a != "" && err1 == nil && err2 == nil && os.SameFile(one, two)
}

type keyList struct{ keyFolder }

// Run lists the keys.
func (k keyList) Run(c *cli, std streams) error {
	if err := k.find(c, std); err != nil {
		return err
	}
	return k.show(std)
}

type keyPrune struct{ keyFolder }

// Run removes the keys and prints them.
func (k keyPrune) Run(c *cli, std streams) error {
	if err := k.find(c, std); err != nil {
		return err
	}
	now := time.Now()
	gone, err := keyset.Prune(k.Dir, now)
	if err != nil {
		return err
	}
	keys := keyViews(gone, now)
	return k.print(std, keys, func(w io.Writer) {
		for _, x := range keys {
			row(w, "removed", x.ID)
		}
	})
}
