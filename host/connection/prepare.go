package connection

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/sdk"
)

// prepare checks a draft and makes a change of it. have is what it replaces, nil for a new connection. Nothing is written.
func (s *Service) prepare(ctx context.Context, a Actor, d Draft, have *Connection) (*change, error) {
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
	if err := s.take(ctx, a, c, &d, have, kept); err != nil {
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
func (s *Service) take(ctx context.Context, a Actor, c *change, d *Draft, have *Connection, kept map[string]sdk.SecretRef) error {
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
		if err := s.mayRefer(ctx, a, at+field, given.Reference); err != nil {
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
		if moved := goesElsewhere(have, &c.Connection); moved != "" {
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
func goesElsewhere(have, will *Connection) string {
	from, to := &have.Info, &will.Info
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
	case slices.ContainsFunc(will.SignHosts, func(h string) bool { return !slices.Contains(have.SignHosts, h) }):
		return "signHosts" // what is added to a request is the secret, or opens as much
	}
	return ""
}

// mayRefer says whether a caller may give a reference: whoever gives one decides where the secret is sent, so it takes a role
// of its own. It has to be granted to the realm, and must not lead to where the secrets are that were handed in.
func (s *Service) mayRefer(ctx context.Context, a Actor, field string, ref sdk.SecretRef) error {
	if s.may(a, s.c.ReferenceRoles) != nil {
		return &Fault{Status: http.StatusForbidden, Code: CodeForbidden, Field: field,
			Message: "no active role allows to give a reference in place of a secret; the configuration's connections block names those that do (reference_roles)"}
	}
	denied := &Fault{Status: http.StatusForbidden, Code: CodeNotGranted, Field: field, Message: "the secret reference is not granted to the realm"}
	if err := s.c.Granted(s.c.Realm, ref); err != nil {
		denied.cause = err
		return denied
	}
	_, ours, err := s.c.Custody.OwnerOf(ctx, ref)
	if err == nil && (ours || s.c.Custody.Reserved(ref)) {
		denied.Message = "the secret reference leads to where secrets are kept that were handed in"
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
