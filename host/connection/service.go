package connection

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/sdk"
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

// Config is what a service is made of.
type Config struct {
	Realm string
	// ManageRoles may create, get, list, update, delete, rotate, repoint and test; UseRoles may get, list, and ask for
	// credentials and signatures. One of them that is active suffices. Empty: nobody but the operator.
	ManageRoles, UseRoles []string
	Store                 Store
	// Custody writes the secrets that come in with bodies; nil: the realm has no store for them, and only references are taken.
	Custody *custody.Custody
	// Granted says whether a reference that a caller gives is granted to the realm; see secret.Service.Granted.
	Granted func(realm string, ref sdk.SecretRef) error
	// Vendor gives the vendor of an authentication type; the error says why there is none now.
	Vendor     func(authenticationType string) (Vendor, error)
	Identities Identities
	// Refuse says whether an address may not be a remote one; nil: every address may be one.
	Refuse func(netip.Addr) error
	// Resolver looks the hosts of new connections up; nil: net.DefaultResolver.
	Resolver Resolver
	// Dial connects to the host of a connection that is tested. It has to refuse what Refuse refuses.
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Audit  *audit.Log       // nil: none
	Logger hclog.Logger     // nil: silent
	Now    func() time.Time // nil: time.Now
}

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Service serves the connections of one realm. It is safe for concurrent use.
type Service struct{ c Config }

// New gives the service of a realm.
func New(c Config) (*Service, error) {
	switch {
	case c.Realm == "" || c.Store == nil || c.Granted == nil || c.Vendor == nil || c.Dial == nil:
		return nil, errors.New("connection: the realm, its store, grants, vendors or dialler are missing")
	}
	if c.Refuse == nil {
		c.Refuse = func(netip.Addr) error { return nil }
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
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

func (a Actor) has(roles []string) bool {
	return slices.ContainsFunc(a.Roles, func(r string) bool { return slices.Contains(roles, r) })
}

// Serve answers a request. rest is what stands behind ".../connections" in the path, as on the wire: empty, or beginning
// with a slash.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, a Actor, rest string) {
	http.Error(w, "", http.StatusNotImplemented)
}
