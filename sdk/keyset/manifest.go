package keyset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

const (
	manifestName = "keys.json"
	// format is the version of the manifest that this package reads and writes.
	format      = 1
	maxManifest = 256 << 10
	maxKeyFile  = 64 << 10
	maxKeys     = 64
)

// Entry is a key as the manifest has it.
type Entry struct {
	ID        string    `json:"kid"` // see [ID]
	Algorithm string    `json:"algorithm"`
	File      string    `json:"file"` // name of the key's file in the folder
	Created   time.Time `json:"created"`
	SignFrom  time.Time `json:"sign_from"`
	RetireAt  time.Time `json:"retire_at,omitzero"` // zero: not yet known
}

// Retired says whether the key has come to its end.
func (e Entry) Retired(now time.Time) bool { return !e.RetireAt.IsZero() && !now.Before(e.RetireAt) }

// State is what a key does at a time.
type State string

// The states of a key.
const (
	Published State = "published" // it is known, and will sign later
	Signing   State = "signing"
	Verifying State = "verifying" // a newer one signs; what this one signed is accepted
	Retired   State = "retired"
)

// States gives what each of a folder's keys does now. At most one signs: none if those whose time has come are all
// retired.
func States(entries []Entry, now time.Time) []State {
	out := make([]State, len(entries))
	signs := false
	for i := len(entries) - 1; i >= 0; i-- {
		switch e := entries[i]; {
		case e.Retired(now):
			out[i] = Retired
		case now.Before(e.SignFrom):
			out[i] = Published
		case !signs:
			out[i], signs = Signing, true
		default:
			out[i] = Verifying
		}
	}
	return out
}

// manifest is the content of keys.json; the newest key is the last one.
type manifest struct {
	Version int     `json:"version"`
	Keys    []Entry `json:"keys"`
}

// parseManifest reads a manifest strictly: what it does not know may be a rule that it would break.
func parseManifest(raw []byte) (*manifest, error) {
	var m manifest
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: there is text behind the JSON object", manifestName)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	return &m, nil
}

func (m *manifest) check() error {
	if m.Version != format {
		return fmt.Errorf("its version is %d; %d is understood", m.Version, format)
	}
	if len(m.Keys) == 0 || len(m.Keys) > maxKeys {
		return fmt.Errorf("it has %d keys; between 1 and %d are possible", len(m.Keys), maxKeys)
	}
	for i, e := range m.Keys {
		switch {
		case !slices.Contains([]string{RS256, ES256, EdDSA}, e.Algorithm):
			return fmt.Errorf("key %d: there is no algorithm %q", i, e.Algorithm)
		case e.File == "" || strings.HasPrefix(e.File, ".") || strings.ContainsAny(e.File, `/\`):
			return fmt.Errorf("key %d: %q is not the name of a file of this folder", i, e.File)
		case e.ID == "" || e.SignFrom.IsZero():
			return fmt.Errorf("key %d: kid or sign_from is missing", i)
		case slices.ContainsFunc(m.Keys[:i], func(o Entry) bool { return o.ID == e.ID }):
			return fmt.Errorf("key %d: there are two keys %s", i, e.ID)
		}
	}
	return nil
}

func (m *manifest) encode() ([]byte, error) {
	raw, err := json.MarshalIndent(m, "", "  ")
	return append(raw, '\n'), err
}
