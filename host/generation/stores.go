package generation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/sdk"
)

// stores configures the secret stores, those first whose settings refer to no other, and gives them to the secret service
// as they come, so that the next ones can log in with what they hold.
func (b *builder) stores(ctx context.Context) {
	left := slices.Clone(b.cfg.SecretStores)
	var ready []secret.Store
	done := map[string]bool{}
	for len(left) > 0 {
		var now, later []config.SecretStore
		for _, s := range left {
			if b.dependsOnNone(s, done) {
				now = append(now, s)
			} else {
				later = append(later, s)
			}
		}
		if len(now) == 0 {
			for _, s := range later {
				b.diags = append(b.diags, s.Diagnose("", fmt.Sprintf("secret_store %q resolves its own settings through itself or through a store that does", s.Name), "", false, nil))
			}
			return
		}
		results := make([]built, len(now))
		batch := make([]wanted, len(now))
		for i, s := range now {
			batch[i] = wanted{kind: sdk.KindSecretResolver, part: s.Part, setup: b.storeSetup(s), into: &results[i]}
		}
		b.configure(ctx, batch)
		for i, s := range now {
			done[s.Name] = true
			b.mixes(s, results[i].offer)
			b.bases[s.Name] = b.storeBasis(s)
			ready = append(ready, b.store(s, results[i]))
		}
		b.gen.secrets.SetStores(ready)
		left = later
	}
}

// dependsOnNone says whether all stores that s refers to are there. A reference to a store that does not exist is reported
// when s is configured.
func (b *builder) dependsOnNone(s config.SecretStore, done map[string]bool) bool {
	refs, _ := references(s.Part)
	for _, f := range refs {
		if !done[f.ref.Store()] && b.index.stores[f.ref.Store()] {
			return false
		}
	}
	return true
}

// basis is what a part with the references depends on beside its own settings: the same names lead to other secrets in a
// store that is set up in another way.
func (b *builder) basis(refs []sdk.SecretRef) string {
	if len(refs) == 0 {
		return ""
	}
	h := sha256.New()
	for _, r := range refs {
		fmt.Fprintf(h, "%q %q\n", r.Store(), b.bases[r.Store()])
	}
	return string(h.Sum(nil))
}

func (b *builder) storeBasis(s config.SecretStore) string {
	found, _ := references(s.Part)
	refs := make([]sdk.SecretRef, len(found))
	for i, f := range found {
		refs[i] = f.ref
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q", s.Type, s.Settings, s.Variables, b.basis(refs))
	return string(h.Sum(nil))
}

func (b *builder) storeSetup(s config.SecretStore) sdk.Setup {
	out := sdk.Setup{Store: s.Name, Environment: map[string]sdk.Secret{}}
	for i, name := range s.Variables {
		v, ok := b.deps.LookupEnv(name)
		if !ok {
			b.diags = append(b.diags, s.Diagnose("/variables/"+strconv.Itoa(i), fmt.Sprintf("the environment variable %s is not set", name), "", true, nil))
			out.Unset = append(out.Unset, name)
			continue
		}
		out.Environment[name] = sdk.NewSecret([]byte(v))
	}
	return out
}

func (b *builder) store(s config.SecretStore, x built) secret.Store {
	st := secret.Store{Name: s.Name, OperatorOnly: x.offer.OperatorOnly, Resolver: broken{x.err}, Writer: broken{x.err}}
	for _, g := range s.Grants {
		st.Grants = append(st.Grants, secret.Grant{Realm: g.Realm, Prefix: g.Prefix})
	}
	if x.err != nil {
		return st
	}
	r := b.deps.Plugins.Resolver(x.handle)
	st.Resolver, st.Writer = r, nil
	if slices.Contains(x.offer.Abilities, sdk.AbilitySecretWriter) {
		st.Writer = r
	}
	return st
}

// broken stands for a store that could not be configured. Nobody knows whether it can be written; what tries finds out why
// it cannot.
type broken struct{ err error }

func (b broken) fault() error { return fmt.Errorf("the store is not available: %w", b.err) }

func (b broken) Resolve(context.Context, sdk.SecretRef) (sdk.Secret, error) {
	return sdk.Secret{}, b.fault()
}

func (b broken) WriteSecret(context.Context, sdk.SecretRef, []byte) (string, error) {
	return "", b.fault()
}

func (b broken) DeleteSecret(context.Context, sdk.SecretRef) error { return b.fault() }

type reference struct {
	pointer string
	ref     sdk.SecretRef
}

// references finds the strings in a part's settings that are secret references, with the diagnostics of those that look
// like one and are none.
func references(p config.Part) ([]reference, config.Diagnostics) {
	if !bytes.Contains(p.Settings, []byte("urn:")) { // most have none, and JSON as a configuration has it escapes no letter
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(p.Settings))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, config.Diagnostics{p.Diagnose("", "the settings are not JSON: "+err.Error(), "", false, nil)}
	}
	var out []reference
	var diags config.Diagnostics
	walk(v, "", func(at, text string) {
		if !strings.HasPrefix(text, "urn:realmgate-secret:") && !strings.HasPrefix(text, "urn:polaris-secret:") {
			return
		}
		ref, err := sdk.ParseSecretRef(text)
		if err != nil {
			diags = append(diags, p.Diagnose(at, err.Error(), "", false, nil))
			return
		}
		out = append(out, reference{at, ref})
	})
	return out, diags
}

var escape = strings.NewReplacer("~", "~0", "/", "~1")

// walk visits every string of a JSON value with its pointer, in a fixed order.
func walk(v any, at string, visit func(at, text string)) {
	switch x := v.(type) {
	case string:
		visit(at, x)
	case []any:
		for i, e := range x {
			walk(e, at+"/"+strconv.Itoa(i), visit)
		}
	case map[string]any:
		keys := make([]string, 0, len(x))
		for k := range x {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			walk(x[k], at+"/"+escape.Replace(k), visit)
		}
	}
}
