package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// Secret is the value behind a reference. It prints as "[secret]", and as an address within a field that is not exported,
// whose methods no printer may call: the value is not printed, whichever way it is done.
type Secret struct {
	_          [0]func() // two secrets are not compared with ==
	value      **hidden
	Version    string
	CacheUntil time.Time // zero: the host's own default
}

// hidden is a value that package fmt does not reach: it follows a pointer to a struct that it is given, but none to a pointer.
type hidden struct{ bytes []byte }

// NewSecret wraps a value; the slice must not be changed afterwards.
func NewSecret(value []byte) Secret {
	h := &hidden{value}
	return Secret{value: &h}
}

// Reveal gives the value. The caller must not change it.
func (s Secret) Reveal() []byte {
	if s.value == nil {
		return nil
	}
	return (*s.value).bytes
}

// Field gives a field of a secret that is a JSON object, which has to be a string, and the whole secret where name is empty.
// Version and CacheUntil are those of the whole. An error never repeats a part of the value.
func (s Secret) Field(name string) (Secret, error) {
	if name == "" {
		return s, nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(s.Reveal(), &object) != nil || object == nil {
		return Secret{}, fmt.Errorf("the reference names the field %q, but the secret is not a JSON object", name)
	}
	raw, ok := object[name]
	if !ok {
		return Secret{}, fmt.Errorf("the secret has no field %q", name)
	}
	var text *string
	if json.Unmarshal(raw, &text) != nil || text == nil {
		return Secret{}, fmt.Errorf("the field %q of the secret is not a string", name)
	}
	s.value = NewSecret([]byte(*text)).value
	return s, nil
}

const redacted = "[secret]"

// String hides the value.
func (s Secret) String() string { return redacted }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return redacted }

// Format hides the value from every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the value from log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON hides the value.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// Prefixes of a secret reference; the second is an alias that Polaris configurations use.
const (
	secretPrefix        = "urn:realmgate-secret:"
	polarisSecretPrefix = "urn:polaris-secret:"
)

// Bounds of a reference and of its version, in bytes.
const (
	maxSecretRef     = 4 << 10
	maxSecretVersion = 256
)

// SecretRef is a reference to a secret: urn:realmgate-secret:<store>:<path>[?=version=V][#field]. V is what the store has for
// versions: a number, an id or a label. Only there does a reference choose among the versions of a secret: a store that took
// a part of the path for such a choice would give one secret several paths, past whatever compares them. In a settings struct
// it is all that an author writes: the host never sends the value, [SecretRef.Value] asks for it when it is used.
//
// The zero SecretRef refers to nothing.
type SecretRef struct {
	store, path, version, field string
}

// ParseSecretRef parses a reference; the alias urn:polaris-secret: is accepted. An error never repeats the text, which
// may be a secret that was pasted by mistake.
func ParseSecretRef(text string) (SecretRef, error) {
	rest, ok := strings.CutPrefix(text, secretPrefix)
	if !ok {
		rest, ok = strings.CutPrefix(text, polarisSecretPrefix)
	}
	switch {
	case !ok:
		return SecretRef{}, errNotARef
	case len(text) > maxSecretRef:
		return SecretRef{}, fmt.Errorf("a secret reference has at most %d bytes", maxSecretRef)
	}
	var r SecretRef
	var hasField, hasVersion bool
	rest, r.field, hasField = strings.Cut(rest, "#")
	rest, r.version, hasVersion = strings.Cut(rest, "?=version=")
	r.store, r.path, ok = strings.Cut(rest, ":")
	switch {
	case !ok || r.store == "" || r.path == "":
		return SecretRef{}, errors.New("a secret reference names a store and a path: urn:realmgate-secret:<store>:<path>")
	case !plain(r.store, "-_."):
		return SecretRef{}, errors.New("the store of a secret reference has other characters than letters, digits and -_. in it")
	case !plain(r.path, "-_./:@+=~"):
		return SecretRef{}, errors.New("the path of a secret reference consists of letters, digits and -_./:@+=~")
	case hasVersion && (r.version == "" || len(r.version) > maxSecretVersion || !plain(r.version, "-_.")):
		return SecretRef{}, fmt.Errorf("the version of a secret reference is a number, an id or a label, of letters, digits and -_., %d bytes at most", maxSecretVersion)
	case hasField && (r.field == "" || !plain(r.field, "-_./:@+=~")):
		return SecretRef{}, errors.New("the field of a secret reference consists of letters, digits and -_./:@+=~")
	}
	for _, seg := range strings.Split(r.path, "/") {
		if seg == "." || seg == ".." || seg == "" {
			return SecretRef{}, errors.New("the path of a secret reference has no empty, . or .. segment")
		}
	}
	return r, nil
}

var errNotARef = errors.New("a secret reference (urn:realmgate-secret:<store>:<path>) is wanted, not the secret itself")

func plain(s, also string) bool {
	for _, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune(also, c) {
			return false
		}
	}
	return true
}

// Store gives the name of the secret store.
func (r SecretRef) Store() string { return r.store }

// Path gives the path within the store.
func (r SecretRef) Path() string { return r.path }

// Version gives the pinned version, empty for the newest.
func (r SecretRef) Version() string { return r.version }

// Field gives the field of a secret that has several, empty for the whole.
func (r SecretRef) Field() string { return r.field }

// Whole gives the reference without its field.
func (r SecretRef) Whole() SecretRef {
	r.field = ""
	return r
}

// IsZero says whether r refers to nothing.
func (r SecretRef) IsZero() bool { return r == SecretRef{} }

// String gives the canonical form, which parses back to r; empty for the zero SecretRef.
func (r SecretRef) String() string {
	if r.IsZero() {
		return ""
	}
	s := secretPrefix + r.store + ":" + r.path
	if r.version != "" {
		s += "?=version=" + r.version
	}
	if r.field != "" {
		s += "#" + r.field
	}
	return s
}

// MarshalText gives the canonical form.
func (r SecretRef) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText parses a reference.
func (r *SecretRef) UnmarshalText(text []byte) (err error) {
	*r, err = ParseSecretRef(string(text))
	return err
}

// SecretRefsIn finds the references among the strings of a JSON value, each once; nil if it is no JSON.
func SecretRefsIn(raw []byte) []SecretRef {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	return secretRefsIn(v, nil)
}

func secretRefsIn(v any, found []SecretRef) []SecretRef {
	switch x := v.(type) {
	case string:
		if ref, err := ParseSecretRef(x); err == nil && !slices.Contains(found, ref) {
			found = append(found, ref)
		}
	case []any:
		for _, e := range x {
			found = secretRefsIn(e, found)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(x)) {
			found = secretRefsIn(x[key], found)
		}
	}
	return found
}

// Value asks the host for the secret. What the settings do not name is refused, see [WantGrantedSecrets]. ctx must descend from the one that the method or constructor was given.
func (r SecretRef) Value(ctx context.Context) (Secret, error) {
	if r.IsZero() {
		return Secret{}, errors.New("sdk: Value of an empty SecretRef")
	}
	h, err := hostFrom(ctx)
	if err != nil {
		return Secret{}, err
	}
	s, err := h.ResolveSecret(ctx, r)
	if AsDenial(err) != nil { // of whoever answers for the host: a secret has no caller that could be at fault
		return Secret{}, fmt.Errorf("the secret could not be resolved: %v", err) //nolint:errorlint // no longer a denial
	}
	return s, err
}
