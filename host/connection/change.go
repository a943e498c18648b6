package connection

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

// change is a connection on its way from a draft into the store.
type change struct {
	Connection
	values []custody.Value // secrets to write
	fields []string        // whose they are, in the same order
	doom   []sdk.SecretRef // references that it no longer has
}

// Create keeps a new connection. The secrets in the draft are written to the realm's store first; on an error nothing of
// them is left.
func (s *Service) Create(ctx context.Context, a Actor, d Draft) (Connection, error) {
	if err := s.may(a, s.c.ManageRoles); err != nil {
		return Connection{}, err
	}
	c, err := s.prepare(ctx, d, nil)
	if err != nil {
		return Connection{}, err
	}
	if d.Version != 0 {
		d.Ignored = append(d.Ignored, d.at+versionKey(d.at))
	}
	var made Connection
	e := s.event(a, audit.ConnectionCreate, c.Name)
	e.Change = c.describe(nil)
	err = s.c.Audit.Around(ctx, e, func() error {
		if _, err := s.c.Store.GetConnection(ctx, s.c.Realm, c.Name); err == nil {
			return directory.ErrExists // before anything is written
		}
		return s.hold(ctx, c, func(ctx context.Context, stored directory.Connection, keep []sdk.SecretRef) (directory.Connection, error) {
			return s.c.Store.CreateConnection(ctx, s.c.Realm, directory.NewConnection{Connection: stored, Keep: keep})
		}, &made)
	}, nil)
	made.Ignored = d.Ignored
	return made, err
}

func versionKey(at string) string {
	if at == "" {
		return "version"
	}
	return "entityVersion"
}

// Update replaces a connection that is at d.Version. Secrets that the draft does not have stay, unless what it changes would
// send them elsewhere; those that it replaces are deleted.
func (s *Service) Update(ctx context.Context, a Actor, name string, d Draft) (Connection, error) {
	if err := s.may(a, s.c.ManageRoles); err != nil {
		return Connection{}, err
	}
	switch {
	case d.Name == "":
		d.Name = name
	case d.Name != name:
		return Connection{}, invalid(d.at+"name", "is not that of the connection; a connection cannot be renamed")
	case d.Version == 0:
		return Connection{}, invalid(d.at+versionKey(d.at), "is missing: say here or in If-Match which version the change is based on")
	}
	have, err := s.current(ctx, name, d.Version)
	if err != nil {
		return Connection{}, err
	}
	c, err := s.prepare(ctx, d, &have)
	if err != nil {
		return Connection{}, err
	}
	made, err := s.replace(ctx, a, audit.ConnectionUpdate, c, &have)
	made.Ignored = d.Ignored
	return made, err
}

// current gives a connection that is at a version; 0: at any.
func (s *Service) current(ctx context.Context, name string, version int64) (Connection, error) {
	d, err := s.c.Store.GetConnection(ctx, s.c.Realm, name)
	if err == nil && version != 0 && version != d.Version {
		err = directory.ErrConflict
	}
	if err != nil {
		return Connection{}, err
	}
	return fromStored(d)
}

// replace keeps what have has become.
func (s *Service) replace(ctx context.Context, a Actor, event string, c *change, have *Connection) (made Connection, err error) {
	e := s.event(a, event, c.Name)
	e.Change = c.describe(have)
	err = s.c.Audit.Around(ctx, e, func() error {
		return s.hold(ctx, c, func(ctx context.Context, stored directory.Connection, keep []sdk.SecretRef) (directory.Connection, error) {
			return s.c.Store.UpdateConnection(ctx, s.c.Realm, c.Name, directory.ConnectionUpdate{
				Connection: stored, ExpectVersion: have.Version, Keep: keep, Doom: c.doom,
			})
		}, &made)
	}, nil)
	return made, err
}

// hold writes the secrets of a change and keeps it with their references.
func (s *Service) hold(ctx context.Context, c *change, keep func(context.Context, directory.Connection, []sdk.SecretRef) (directory.Connection, error), made *Connection) error {
	return s.c.Custody.Hold(ctx, directory.ConnectionOwner(c.Name), c.values, func(ctx context.Context, refs []sdk.SecretRef) error {
		for i, field := range c.fields {
			c.SecretReferences[field] = refs[i]
		}
		stored, err := c.stored()
		if err != nil {
			return err
		}
		kept, err := keep(ctx, stored, refs)
		if err != nil {
			return err
		}
		*made, err = fromStored(kept)
		return err
	})
}

// prepare checks a draft and makes a change of it. have is what it replaces, nil for a new connection. Nothing is written.
func (s *Service) prepare(ctx context.Context, d Draft, have *Connection) (*change, error) {
	if f := d.check(s.c.Deny); f != nil {
		return nil, f
	}
	for _, x := range []struct{ field, uri string }{
		{"connectionConfigInfo.uri", d.Info.URI}, {"connectionConfigInfo.authenticationParameters.tokenUri", d.Info.Authentication.TokenURI},
	} {
		if f := s.lookUp(ctx, d.at+x.field, x.uri); f != nil {
			return nil, f
		}
	}
	c := &change{Connection: Connection{
		Name: d.Name, Info: d.Info, Properties: d.Properties, SignHosts: d.SignHosts, SecretReferences: map[string]sdk.SecretRef{},
	}}
	if f := s.served(c, d.at, have); f != nil {
		return nil, f
	}
	if f := s.identify(c, d.at, have); f != nil {
		return nil, f
	}
	var kept map[string]sdk.SecretRef
	if have != nil {
		kept = have.SecretReferences
	}
	if err := s.take(ctx, c, &d, have, kept); err != nil {
		return nil, err
	}
	for _, field := range slices.Sorted(maps.Keys(kept)) {
		if c.SecretReferences[field] != kept[field] {
			c.doom = append(c.doom, kept[field])
		}
	}
	return c, nil
}

// served refuses a type of authentication, unless the connection has it already, that nobody vends for.
func (s *Service) served(c *change, at string, have *Connection) *Fault {
	typ := c.Info.Authentication.Type
	if have != nil && have.Info.Authentication.Type == typ {
		return nil
	}
	if _, err := s.c.Vendor(typ); err != nil {
		return &Fault{
			Status: http.StatusNotImplemented, Code: CodeUnsupported, Field: at + "connectionConfigInfo.authenticationParameters.authenticationType",
			Message: "there is no credential vendor for " + typ + " in this daemon: the plugin that offers one is not there, or does not start", cause: err,
		}
	}
	return nil
}

// identify gives a change the service identity that it needs: the one that it has, else the realm's.
func (s *Service) identify(c *change, at string, have *Connection) *Fault {
	typ := c.Info.Authentication.identityType()
	if typ == "" {
		return nil
	}
	if have != nil && have.Info.ServiceIdentity != nil && have.Info.ServiceIdentity.Type == typ {
		c.Info.ServiceIdentity = have.Info.ServiceIdentity
		return nil
	}
	id, ok := s.c.Identities.choose(typ)
	if !ok {
		return invalid(at+"connectionConfigInfo.authenticationParameters.roleArn",
			"needs a service identity that takes the role on, and the realm has none: the configuration has no service_identity \""+strings.ToLower(typ)+"\" block")
	}
	c.Info.ServiceIdentity = id
	return nil
}

// take sorts the secrets of a draft: those to write, those that are references, those that stay.
func (s *Service) take(ctx context.Context, c *change, d *Draft, have *Connection, kept map[string]sdk.SecretRef) error {
	at := d.at + "connectionConfigInfo.authenticationParameters."
	dir := "connections/" + c.Name + "/" + randomID() + "/"
	for _, field := range slices.Sorted(maps.Keys(d.Secrets)) {
		given := d.Secrets[field]
		if given.Reference.IsZero() {
			c.values = append(c.values, custody.Value{Path: dir + field, Secret: given.Value})
			c.fields = append(c.fields, field)
			c.SecretReferences[field] = sdk.SecretRef{}
			continue
		}
		if given.Reference == kept[field] && !kept[field].IsZero() {
			continue // as if it were not there
		}
		if err := s.mayRefer(ctx, at+field, given.Reference); err != nil {
			return err
		}
		c.SecretReferences[field] = given.Reference
	}
	stays := have != nil && have.Info.Authentication.Type == c.Info.Authentication.Type && have.Info.Authentication.AccessKeyID == c.Info.Authentication.AccessKeyID
	_, newKey := d.Secrets[FieldSecretAccessKey] // a session token belongs to its key
	for field, ref := range kept {
		if _, given := c.SecretReferences[field]; given || !stays || field == FieldSessionToken && newKey {
			continue
		}
		if moved := goesElsewhere(&have.Info, &c.Info); moved != "" {
			return invalid(at+field, "has to be given again, since a change of "+moved+" sends it elsewhere")
		}
		c.SecretReferences[field] = ref
	}
	for _, field := range c.Info.Authentication.wanted() {
		if _, ok := c.SecretReferences[field]; !ok {
			return invalid(at+field, "is missing")
		}
	}
	return nil
}

// goesElsewhere says which field of a change sends a stored secret to somewhere else than before; empty if none does.
// The keys of SIGV4 are sent nowhere.
func goesElsewhere(from, to *Info) string {
	origin := func(text string) place {
		u, err := url.Parse(text)
		if err != nil {
			return place{}
		}
		return placeOf(u)
	}
	switch {
	case to.Authentication.Type == AuthSigV4:
		return ""
	case from.Authentication.TokenURI != to.Authentication.TokenURI:
		return "tokenUri"
	case from.URI != to.URI && (to.Authentication.Type == AuthOAuth || origin(from.URI) != origin(to.URI)):
		return "uri"
	}
	return ""
}

// mayRefer says whether a caller may give a reference: it is granted to the realm, and leads to nothing that we wrote.
func (s *Service) mayRefer(ctx context.Context, field string, ref sdk.SecretRef) error {
	denied := &Fault{Status: http.StatusForbidden, Code: CodeNotGranted, Field: field, Message: "the secret reference is not granted to the realm"}
	if err := s.c.Granted(s.c.Realm, ref); err != nil {
		denied.cause = err
		return denied
	}
	_, ours, err := s.c.Custody.OwnerOf(ctx, ref)
	if err == nil && ours {
		denied.Message = "the secret reference leads to a secret that was handed in for something else"
		return denied
	}
	return err
}

// lookUpLimit bounds the look-up of a host when a connection is made.
const lookUpLimit = 2 * time.Second

// lookUp refuses a host whose name leads to a refused address. One that cannot be found now may be found later, and every
// connection to it is checked again.
func (s *Service) lookUp(ctx context.Context, field, uri string) *Fault {
	u, err := url.Parse(uri)
	if err != nil || u.Hostname() == "" {
		return nil //nolint:nilerr // whether it is a URI was checked before
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpLimit)
	defer cancel()
	addrs, err := s.c.Resolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	for _, a := range addrs {
		if err := s.c.Deny.Check(a); err != nil {
			return invalid(field, "the host leads to a refused address: "+err.Error())
		}
	}
	return nil
}

// randomID draws 128 random bits; crypto/rand.Read never fails.
func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// describe says for the audit log what a change is about, without values.
func (c *change) describe(have *Connection) string {
	parts := []string{"type=" + c.Info.Type, "authentication=" + c.Info.Authentication.Type}
	if have != nil {
		parts = nil
		a, b := have.Info, c.Info
		authA, authB := a.Authentication, b.Authentication
		for _, x := range []struct {
			name string
			same bool
		}{
			{"type", a.Type == b.Type}, {"uri", a.URI == b.URI}, {"remote", a.RemoteCatalogName == b.RemoteCatalogName && a.Warehouse == b.Warehouse},
			{"authentication", reflect.DeepEqual(authA, authB)}, {"properties", maps.Equal(have.Properties, c.Properties)},
			{"sign_hosts", slices.Equal(have.SignHosts, c.SignHosts)}, {"identity", reflect.DeepEqual(a.ServiceIdentity, b.ServiceIdentity)},
		} {
			if !x.same {
				parts = append(parts, x.name)
			}
		}
	}
	if len(c.fields) > 0 {
		parts = append(parts, "secrets="+strings.Join(c.fields, ","))
	}
	if id := c.Info.ServiceIdentity; id != nil && have == nil {
		parts = append(parts, "identity="+id.IAMARN)
	}
	return strings.Join(parts, " ")
}

// Delete removes a connection that is at a version (0: at any), and deletes the secrets that were written for it.
func (s *Service) Delete(ctx context.Context, a Actor, name string, version int64) error {
	if err := s.may(a, s.c.ManageRoles); err != nil {
		return err
	}
	return s.c.Audit.Around(ctx, s.event(a, audit.ConnectionDelete, name), func() error {
		if err := s.c.Store.DeleteConnection(ctx, s.c.Realm, name, version); err != nil {
			return err
		}
		s.c.Custody.Release(ctx, directory.ConnectionOwner(name))
		return nil
	}, nil)
}
