package connection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
)

// Bounds of what is asked of vendors and of what they answer.
const (
	vendLimit        = 30 * time.Second // for a vendor to answer
	maxMinLifetime   = 12 * time.Hour   // the longest session of a role
	maxNarrowTo      = 64
	maxVended        = 64       // properties
	maxVendedName    = 256      // bytes
	maxVendedValue   = 32 << 10 // bytes
	maxVendedAuditID = 512      // bytes
)

// CredentialsRequest asks for credentials.
type CredentialsRequest struct {
	NarrowTo    []string      // URIs that they are to be limited to; empty: no narrowing
	MinLifetime time.Duration // how long they must be good for; zero: any time
}

// Credentials are short-lived credentials for a connection, in Iceberg's property names.
type Credentials struct {
	Connection string
	Properties map[string]sdk.Secret
	Expires    time.Time // zero: they have no end that is known
	Short      bool      // they end sooner than was asked for
	AuditID    string    // of the remote system's own log
}

func (q CredentialsRequest) check() *Fault {
	switch {
	case len(q.NarrowTo) > maxNarrowTo:
		return invalid("narrowTo", fmt.Sprintf("are more than %d", maxNarrowTo))
	case q.MinLifetime < 0 || q.MinLifetime > maxMinLifetime:
		return invalid("minLifetimeSeconds", fmt.Sprintf("lies between 0 and %d", int(maxMinLifetime.Seconds())))
	}
	for i, uri := range q.NarrowTo {
		if uri == "" || len(uri) > maxURI {
			return invalid(fmt.Sprintf("narrowTo[%d]", i), fmt.Sprintf("has 1 to %d bytes", maxURI))
		}
	}
	return nil
}

// Credentials gives credentials for a connection. There is a line in the audit log before they are given.
func (s *Service) Credentials(ctx context.Context, a Actor, name string, q CredentialsRequest) (Credentials, error) {
	e := s.event(a, audit.ConnectionCredentials, name)
	if err := s.may(a, s.c.UseRoles); err != nil {
		return Credentials{}, s.refuse(ctx, e, err)
	}
	if f := q.check(); f != nil {
		return Credentials{}, f
	}
	d, err := s.c.Store.GetConnection(ctx, s.c.Realm, name)
	var out Credentials
	if err == nil {
		out, err = s.vend(ctx, a, d, q)
	}
	if err != nil {
		return Credentials{}, s.refuse(ctx, e, err)
	}
	e.Outcome, e.AuditID = audit.Done, out.AuditID
	if err := s.c.Audit.Record(ctx, e); err != nil {
		return Credentials{}, err
	}
	return out, nil
}

// refuse records why something was not done, and gives the reason.
func (s *Service) refuse(ctx context.Context, e audit.Event, err error) error {
	f := faultOf(err)
	e.Outcome, e.Reason, e.Detail = audit.Refused, f.Code, f.Error()
	if f.Code == CodeForbidden || f.Code == CodeNotFound { // a name that anybody may have made up
		e.Connection = ""
	}
	if f.Status >= 500 {
		e.Outcome = audit.Unavailable
	}
	if err := s.c.Audit.Record(ctx, e); err != nil {
		return err
	}
	return f
}

func causeOf(f *Fault) error {
	if f.cause != nil {
		return f.cause
	}
	return f
}

// equip gives a connection its service identity, and its vendor.
func (s *Service) equip(d directory.Connection) (sdk.Connection, Vendor, error) {
	c := noun(d)
	if d.IdentityRef != "" {
		id, ok := s.c.Identities[IdentityRef(d.IdentityRef)]
		switch {
		case !ok:
			return c, nil, unavailable(fmt.Sprintf("the service identity of the connection, %s, is not in the configuration any more: put it back, or point the connection to another one", d.IdentityRef), nil)
		case id.Type != d.IdentityType || id.ARN != d.IdentityARN:
			return c, nil, unavailable(fmt.Sprintf("the service identity of the connection, %s, was %s and is now another one (%s) in the configuration: put it back, or point the connection to it", d.IdentityRef, d.IdentityARN, id.ARN), nil)
		}
		c.ServiceIdentity = &id
	}
	vendor, err := s.c.Vendor(d.AuthenticationType)
	if err != nil {
		return c, nil, unavailable("there is no credential vendor for the authentication type "+d.AuthenticationType+" at the moment", err)
	}
	return c, vendor, nil
}

// vend asks a vendor and checks what it answers.
func (s *Service) vend(ctx context.Context, a Actor, d directory.Connection, q CredentialsRequest) (Credentials, error) {
	c, vendor, err := s.equip(d)
	if err != nil {
		return Credentials{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, vendLimit)
	defer cancel()
	got, err := vendor.Vend(ctx, sdk.VendRequest{
		Connection: c, Caller: a.caller(s.c.Realm), RequestID: sdk.RequestID(ctx), NarrowTo: q.NarrowTo, MinLifetime: q.MinLifetime,
	})
	if d := sdk.AsDenial(err); d != nil {
		return Credentials{}, refused(d)
	}
	if err == nil {
		err = s.checkVended(c, got)
	}
	if err != nil {
		return Credentials{}, unavailable("the credentials of the connection cannot be had at the moment", err)
	}
	return Credentials{
		Connection: c.Name, Properties: got.Properties, Expires: got.Expires, AuditID: got.AuditID,
		Short: !got.Expires.IsZero() && got.Expires.Before(s.c.Now().Add(q.MinLifetime)),
	}, nil
}

// checkVended believes no answer that is empty, over or out of bounds.
func (s *Service) checkVended(c sdk.Connection, got sdk.ConnectionCredentials) error {
	switch {
	case len(got.Properties) == 0 && c.AuthenticationType != AuthImplicit:
		return errors.New("the vendor answered no credentials")
	case len(got.Properties) > maxVended || len(got.AuditID) > maxVendedAuditID:
		return errors.New("the vendor answered too much")
	case !got.Expires.IsZero() && !got.Expires.After(s.c.Now()):
		return fmt.Errorf("the vendor answered credentials that expired at %s", got.Expires.UTC().Format(time.RFC3339))
	}
	for name, v := range got.Properties {
		if n := len(v.Reveal()); name == "" || len(name) > maxVendedName || n == 0 || n > maxVendedValue {
			return fmt.Errorf("the vendor answered an empty or overlong property %q", shown(name))
		}
	}
	return nil
}
