package generation

import (
	"errors"
	"fmt"
	"sync"

	"github.com/realmgate/realmgate/host/accesskey"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/connection"
	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/egress"
)

// vendors gives what is to be configured for credential vendors.
func (b *builder) vendors() []wanted {
	b.vendor = map[string]*spread{}
	all := make([]wanted, 0, len(b.cfg.Vendors))
	for _, v := range b.cfg.Vendors {
		x := &spread{}
		b.vendor[v.Authentication] = x
		all = append(all, b.wantFor(x, wanted{
			kind: sdk.KindCredentialVendor, part: v.Part, setup: sdk.Setup{AuthenticationType: v.Authentication}, optional: !v.Written,
		}, b.index.realms)...)
	}
	return all
}

// vendorsOf gives the vendors that serve a realm. They are bound when they are asked for: most realms never do.
func (b *builder) vendorsOf(realm string) func(string) (connection.Vendor, error) {
	vendor, plugins := b.vendor, b.deps.Plugins
	return func(typ string) (connection.Vendor, error) {
		all, known := vendor[typ]
		if !known {
			return nil, fmt.Errorf("there is no credential vendor for %q", typ)
		}
		x := all.of(realm)
		if x.err != nil {
			return nil, fmt.Errorf("there is no credential vendor for %s: %w", typ, x.err)
		}
		return plugins.Vendor(x.handle, realm), nil
	}
}

// identities reads the service identities of a realm: those of all realms, and its own.
func (b *builder) identities(r config.Realm) connection.Identities {
	out := connection.Identities{}
	for scope, list := range map[string][]config.ServiceIdentity{connection.ScopeDefault: b.cfg.Identities, connection.ScopeRealm: r.Identities} {
		for _, i := range list {
			id := sdk.ServiceIdentity{Type: i.Type, ARN: i.ARN, DefaultChain: i.Credentials == ""}
			if !id.DefaultChain {
				ref, err := b.credentials(i)
				if err != nil {
					b.diags = append(b.diags, i.Diagnose("credentials", "credentials cannot be used: "+err.Error(), ""))
					continue
				}
				id.Credentials = ref
			}
			out[connection.NewIdentityRef(scope, i.Type)] = id
		}
	}
	return out
}

func (b *builder) credentials(i config.ServiceIdentity) (sdk.SecretRef, error) {
	ref, err := sdk.ParseSecretRef(i.Credentials)
	if err != nil {
		return sdk.SecretRef{}, err
	}
	if !b.index.stores[ref.Store()] {
		return sdk.SecretRef{}, fmt.Errorf("there is no secret_store %q", ref.Store())
	}
	return ref, nil
}

// connections builds what serves a realm's connections and access keys.
func (b *builder) connections(r config.Realm, out *realm) {
	c := connection.Config{
		Realm: r.Name, ManageRoles: r.Connections.ManageRoles, UseRoles: r.Connections.UseRoles, ReferenceRoles: r.Connections.ReferenceRoles, Store: b.deps.Directory,
		Granted: b.gen.secrets.Granted, Vendor: b.vendorsOf(r.Name), Identities: b.identities(r),
		Audit: b.deps.Audit, Logger: b.logs.connection,
	}
	deny, err := denyList(r.Connections)
	if err != nil {
		b.diags = append(b.diags, r.Connections.Diagnose("deny_addresses", err.Error(), ""))
		return
	}
	c.Deny = deny
	if out.custody, err = b.custody(r); err != nil {
		b.diags = append(b.diags, r.Connections.Diagnose("secret_store", fmt.Sprintf("realm %q cannot keep the secrets of its connections there: %v", r.Name, err),
			"A store that can be written is of the type sealed-file, for one."))
		return
	}
	c.Custody = out.custody
	out.keys = accesskey.New(accesskey.Config{Realm: r.Name, Store: b.deps.Directory, Custody: c.Custody, Audit: b.deps.Audit})
	if out.connections, err = connection.New(c); err != nil {
		b.diags = append(b.diags, r.Connections.Diagnose("", err.Error(), ""))
	}
}

// custody gives what keeps a realm's secrets. A realm without a store has one too: it knows what was written before. The
// error says why its store cannot be used; one that is only down can.
func (b *builder) custody(r config.Realm) (*custody.Custody, error) {
	c := custody.Config{
		Realm: r.Name, Store: r.Connections.SecretStore, Prefix: r.Connections.SecretPrefix,
		Ledger: b.deps.Directory, Secrets: b.gen.secrets, Logger: b.logs.custody,
	}
	if c.Store != "" {
		if err := b.writable(c.Store); err != nil {
			return nil, err
		}
	}
	return custody.New(c)
}

// writable says why a realm's store takes no secrets. That it is granted to the realm is part of the configuration's own
// checks.
func (b *builder) writable(store string) error {
	if b.stored == nil {
		b.stored = map[string]secret.StoreInfo{}
		for _, s := range b.gen.secrets.Stores() {
			b.stored[s.Name] = s
		}
	}
	s, ok := b.stored[store]
	switch {
	case !ok: // its settings are wrong, and reported
		return nil
	case s.OperatorOnly:
		return errors.New("it reaches into the machine that the daemon runs on, and is the operator's alone")
	case !s.Writable:
		return errors.New("it cannot be written")
	}
	return nil
}

// defaultDeny is what realms have that configure no list: one for all.
var defaultDeny = sync.OnceValue(egress.Default)

func denyList(c config.Connections) (egress.List, error) {
	if c.DenyAddresses == nil {
		return defaultDeny(), nil
	}
	texts := make([]string, len(c.DenyAddresses))
	for i, p := range c.DenyAddresses {
		texts[i] = p.String()
	}
	return egress.Parse(texts)
}

var errNoConnections = errors.New("the realm's connections are not served")

// Connections gives the service of a realm's connections; it is there also where the realm itself is not served.
func (g *Generation) Connections(name string) (*connection.Service, error) {
	r, err := g.realm(name)
	if err != nil {
		return nil, err
	}
	if r.connections == nil {
		return nil, fmt.Errorf("realm %q: %w", name, errNoConnections)
	}
	return r.connections, nil
}

// AccessKeys gives the service of a realm's access keys.
func (g *Generation) AccessKeys(name string) (*accesskey.Service, error) {
	r, err := g.realm(name)
	if err != nil {
		return nil, err
	}
	return r.keys, nil
}

// Custody gives what keeps the secrets of a realm; nil if nothing does.
func (g *Generation) Custody(name string) *custody.Custody {
	if r := g.realms[name]; r != nil {
		return r.custody
	}
	return nil
}
