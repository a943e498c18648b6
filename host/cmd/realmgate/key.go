package main

import (
	"fmt"
	"io"
	"time"

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
	Dir  string `required:"" placeholder:"PATH" type:"path" help:"The key folder: key_dir of a token broker of the type key-pair."`
	JSON bool   `help:"Print JSON."`
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
func (k keyGenerate) Run(std streams) error {
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
	MaxTokenGeneration sdk.Duration  `default:"1h" help:"The greatest max_token_generation of the brokers that use the folder: the former keys verify for as long, and five minutes more, once the new one signs."`
	Overlap            *sdk.Duration `help:"How long the former keys verify once the new one signs, instead. 0s with --wait 0s ends all tokens of the former keys."`
}

const (
	// publishedFor is for how long a broker lets others keep its keys.
	publishedFor = 5 * time.Minute
	// overlapMargin is for clocks that differ, and for nodes that notice a rotation late.
	overlapMargin = 5 * time.Minute
)

// Run adds the key.
func (k keyRotate) Run(std streams) error {
	r := keyset.Rotation{
		NewKeySpec: keyset.NewKeySpec{Algorithm: k.Algorithm, Bits: k.Bits},
		Wait:       k.Wait.Std(), Overlap: k.MaxTokenGeneration.Std() + overlapMargin,
	}
	if k.Overlap != nil {
		r.Overlap = k.Overlap.Std()
	}
	if _, err := keyset.Rotate(k.Dir, r, time.Now()); err != nil {
		return err
	}
	if r.Wait < publishedFor {
		fmt.Fprintf(std.err, "realmgate: note: others may keep the published keys for %v, and refuse tokens of the new key until then\n", publishedFor)
	}
	if r.Overlap < k.MaxTokenGeneration.Std() {
		fmt.Fprintf(std.err, "realmgate: note: the former keys retire %v after the new one signs: tokens that live longer are refused from then on\n", r.Overlap)
	}
	return k.show(std)
}

type keyList struct{ keyFolder }

// Run lists the keys.
func (k keyList) Run(std streams) error { return k.show(std) }

type keyPrune struct{ keyFolder }

// Run removes the keys and prints them.
func (k keyPrune) Run(std streams) error {
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
