package connection

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/egress"
)

// Store keeps connections; *directory.Directory is one.
type Store interface {
	CreateConnection(ctx context.Context, realm string, n directory.NewConnection) (directory.Connection, error)
	GetConnection(ctx context.Context, realm, name string) (directory.Connection, error)
	ListConnections(ctx context.Context, realm string, p directory.Page) ([]directory.Connection, string, error)
	UpdateConnection(ctx context.Context, realm, name string, u directory.ConnectionUpdate) (directory.Connection, error)
	DeleteConnection(ctx context.Context, realm, name string, expectVersion int64) error
}

// Vendor vends for one type of authentication in the service's realm.
type Vendor interface {
	Vend(ctx context.Context, r sdk.VendRequest) (sdk.ConnectionCredentials, error)
	Sign(ctx context.Context, r sdk.SignRequest) (sdk.SignedRequest, error)
	CanSign() bool
}

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config is what a service is made of.
type Config struct {
	Realm string
	// ManageRoles may create, get, list, update, delete, rotate, repoint and test; UseRoles may get, list, and ask for
	// credentials and signatures. One of them that is active suffices. Empty: nobody but the operator.
	ManageRoles, UseRoles []string
	// ReferenceRoles may, if they manage, give a reference in place of a secret: every secret that is granted to the realm
	// is theirs.
	ReferenceRoles []string
	Store          Store
	// Custody writes the secrets that come in with bodies, and knows those that it wrote.
	Custody *custody.Custody
	// Granted says whether a reference that a caller gives is granted to the realm; see secret.Service.Granted.
	Granted func(realm string, ref sdk.SecretRef) error
	// Vendor gives the vendor of an authentication type; the error says why there is none now.
	Vendor     func(authenticationType string) (Vendor, error)
	Identities Identities
	Deny       egress.List // addresses that no remote system may have
	Resolver   Resolver    // looks the hosts of new connections up; nil: net.DefaultResolver
	// Dial connects to the host of a connection that is tested; nil: the dialler of Deny.
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Audit  *audit.Log       // nil: none
	Logger hclog.Logger     // nil: silent
	Now    func() time.Time // nil: time.Now
}

// Service serves the connections of one realm. It is safe for concurrent use.
type Service struct{ c Config }

// New gives the service of a realm.
func New(c Config) (*Service, error) {
	if c.Realm == "" || c.Store == nil || c.Custody == nil || c.Granted == nil || c.Vendor == nil {
		return nil, errors.New("connection: the realm, its store, custody, grants or vendors are missing")
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.Dial == nil {
		c.Dial = c.Deny.Dialer().DialContext
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{c}, nil
}

// Actor is who asks for something.
type Actor struct {
	Operator  bool          // on the admin socket; Principal is the zero one then
	Principal sdk.Principal // of the realm
	Roles     []string      // the active ones
}

// caller gives an actor as vendors see it. The operator has neither id nor name.
func (a Actor) caller(realm string) sdk.Principal {
	p := a.Principal
	p.Realm = realm
	if a.Operator {
		p.Enabled = true
	}
	return p
}

// may says whether an actor has one of the roles active.
func (s *Service) may(a Actor, roles ...[]string) error {
	if a.Operator {
		return nil
	}
	for _, list := range roles {
		if slices.ContainsFunc(a.Roles, func(r string) bool { return slices.Contains(list, r) }) {
			return nil
		}
	}
	return &Fault{Status: 403, Code: CodeForbidden, Message: "no active role allows it; the configuration's connections block names those that do (manage_roles, use_roles)"}
}

// event begins the audit line of an actor.
func (s *Service) event(a Actor, name, connection string) audit.Event {
	return audit.Event{Name: name, Realm: s.c.Realm, PrincipalID: a.Principal.ID, Principal: a.Principal.Name, Connection: connection}
}

// Get gives a connection.
func (s *Service) Get(ctx context.Context, a Actor, name string) (Connection, error) {
	if err := s.may(a, s.c.ManageRoles, s.c.UseRoles); err != nil {
		return Connection{}, err
	}
	d, err := s.c.Store.GetConnection(ctx, s.c.Realm, name)
	if err != nil {
		return Connection{}, err
	}
	return fromStored(d)
}

// List gives a page of connections, by name, and the After of the next one.
func (s *Service) List(ctx context.Context, a Actor, p directory.Page) (_ []Connection, next string, err error) {
	if err := s.may(a, s.c.ManageRoles, s.c.UseRoles); err != nil {
		return nil, "", err
	}
	list, next, err := s.c.Store.ListConnections(ctx, s.c.Realm, p)
	if err != nil {
		return nil, "", err
	}
	out := make([]Connection, len(list))
	for i, d := range list {
		if out[i], err = fromStored(d); err != nil {
			return nil, "", err
		}
	}
	return out, next, nil
}
