package config

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Config is the whole configuration, checked, with inheritance resolved and defaults filled in.
type Config struct {
	PublicURL     string        // base of the default issuers, without a trailing slash
	ShutdownGrace time.Duration // how long running requests may go on after a stop signal
	// PluginHealthWindow is how long plugins that a reload has started are watched before the former generation is given up;
	// zero: not at all.
	PluginHealthWindow time.Duration
	PluginDir          string   // where the bundled plugins are; empty means beside the binary
	RolePrefix         string   // what a requested role starts with, in scopes and tokens
	Files              []string // that it was read from, or their folders; none: the built-in default
	Folder             string   // of the first configuration file, or the first one itself if it is a folder; the current one without files
	Log                Log
	Admin              Admin
	Metrics            Metrics
	Directory          Directory
	Audit              Audit
	DecisionCache      DecisionCache
	Listeners          []Listener        // sorted by name, at least one
	Plugins            []Plugin          // sorted by name
	SecretStores       []SecretStore     // sorted by name
	Identities         []ServiceIdentity // of every realm that has none of the type, sorted by type
	Vendors            []Vendor          // one for each type of authentication, sorted by it
	ActiveRoles        Part              // the active roles provider, one per daemon
	Tenants            []Tenant          // sorted by name
	Realms             []Realm           // sorted by name

	at     *trace
	blocks []effective // for Diff
}

// Plugin gives the block of a plugin; the zero Plugin, which has no place, if there is none.
func (c *Config) Plugin(name string) Plugin {
	if n, ok := slices.BinarySearchFunc(c.Plugins, name, func(p Plugin, name string) int { return strings.Compare(p.Name, name) }); ok {
		return c.Plugins[n]
	}
	return Plugin{}
}

// Realm gives a realm; the zero Realm, which has no place, if there is none.
func (c *Config) Realm(name string) Realm {
	if n, ok := slices.BinarySearchFunc(c.Realms, name, func(r Realm, name string) int { return strings.Compare(r.Name, name) }); ok {
		return c.Realms[n]
	}
	return Realm{}
}

// Log says what the daemon logs about itself.
type Log struct {
	Level  string // trace, debug, info, warn or error
	Format string // text or json
}

// Admin is the door for the operator's commands.
type Admin struct {
	Socket string // path of the unix socket; empty means that there is none
}

// Metrics is the door for what the daemon tells in numbers.
type Metrics struct {
	Address string // host:port of a listener for them; empty means that there is none beside the admin socket
}

// Directory says where principals, roles and revocations are kept.
type Directory struct {
	Type string // sqlite
	Path string // of the database file
}

// Audit says where a line goes for every token and every change by an operator.
type Audit struct {
	Path       string // of the file; stdout for the standard output; empty means that nothing is kept
	Refuse     bool   // nothing happens of which no line can be written
	Decisions  bool   // a line for every decision as well
	MaxSizeMB  int    // at which the file is rotated
	MaxBackups int    // how many rotated files are kept; zero means all
	MaxAgeDays int    // how long they are kept; zero means for ever
	Compress   bool   // rotated files
}

// DecisionCache bounds what the daemon remembers of decisions, in bytes.
type DecisionCache struct {
	Memory       uint64 // of those that allow
	DeniedMemory uint64 // of those that deny
}

// Listener is an address on which the daemon answers.
type Listener struct {
	Name           string
	Address        string         // host:port
	RealmHeader    string         // request header that may name the realm; empty means that none may
	TrustedProxies []netip.Prefix // peers whose word about the original request counts
	Forwarded      string         // how they say it: x-forwarded, x-original or none
	TLS            *TLS           // nil means plain HTTP
	Pos            Position

	at *trace
}

// TLS is the server side of TLS on a listener.
type TLS struct {
	CertFile     string // PEM chain
	KeyFile      string // PEM key
	ClientCAFile string // PEM bundle; if set, a client certificate is required and must verify against it
	MinVersion   uint16 // tls.VersionTLS12 or tls.VersionTLS13
}

// Plugin is a plugin binary, or a command that is one.
type Plugin struct {
	Name    string
	Path    string            // of the binary; empty without a command means realmgate-plugin-<name> in the plugin directory
	Command string            // path of a runtime that is executed as it is installed, instead of a binary
	SHA256  string            // lower-case hex of the bytes of the binary or the command; empty means unchecked
	Files   map[string]string // lower-case hex of SHA-256 digests of further files, by path
	TLS     string            // auto (mutual TLS with keys made at start) or none
	Args    []string          // arguments of the process
	Env     map[string]string // the variables of the process; nothing else of the daemon's environment reaches it
	Limits  Limits
	Allow   []Allowance // what its parts may ask the daemon for; none means nothing, or for a plugin without a path and a command what it wants
	User    Users       // whom its processes run as
	// PerRealm has a process for each realm, and for each secret store, with a user of its own.
	PerRealm bool
	Pos      Position

	at *trace
}

// Part is the configuration of one exchangeable part: which implementation, and its settings as they stand.
type Part struct {
	Type     string
	Settings json.RawMessage // a JSON object, never null; without type

	at *trace
}

// SecretStore is a place that holds secrets, and who may read which of them. Its settings are those of its resolver.
type SecretStore struct {
	Name string
	Part
	Variables []string // environment variables that the store's resolver may read
	Grants    []Grant
	Pos       Position
}

// Grant lets a realm refer to the secrets under a prefix.
type Grant struct {
	Realm  string
	Prefix string // ends with / and covers all below it, or is the full path of one secret
	Pos    Position

	at *trace
}

// Tenant is the configuration of one foreign identity provider, with tenant_defaults merged in.
type Tenant struct {
	Name                 string
	IdentityProvider     Part
	PrincipalMapper      Part
	PrincipalRolesMapper Part
	Pos                  Position

	at *trace
}

// Realm is a logical partition, with the top-level authentication block merged in.
type Realm struct {
	Name           string
	Tenant         string   // name of the tenant; empty if there is none
	Hosts          []string // lower case, without port; unique among the realms
	Issuer         string   // public_url/realms/name unless set
	Audience       []string // at least one; the issuer unless set
	Authentication Authentication
	Identities     []ServiceIdentity // the realm's own, sorted by type
	Connections    Connections
	Pos            Position

	at *trace
}

// ServiceIdentity is who Realmgate itself is towards a cloud.
type ServiceIdentity struct {
	Type        string // AWS_IAM
	ARN         string // of an IAM user or role
	Credentials string // reference to its keys, as it was written; empty means the default chain of the vendor's process
	Pos         Position

	at *trace
}

// Vendor is the credential vendor of one type of authentication to connections.
type Vendor struct {
	Authentication string // OAUTH, BEARER, IMPLICIT or SIGV4
	Part
	Written bool // false for a built-in default, which no plugin has to offer
	Pos     Position
}

// Connections says where a realm's connections keep their secrets and who may do what with them, with the top-level block
// merged in.
type Connections struct {
	SecretStore  string   // empty means that secrets are taken as references only
	SecretPrefix string   // ends with /; no other realm's prefix or grant overlaps with it
	ManageRoles  []string // one of them must be active to create and change connections
	UseRoles     []string // or one of these, to ask for credentials and signatures
	// ReferenceRoles may, if they manage, name any secret that is granted to the realm.
	ReferenceRoles []string
	DenyAddresses  []netip.Prefix // no remote system lies there; nil means the default list, empty means none

	at *trace
}

// The authentication types of a realm.
const (
	Internal = "internal" // tokens of the realm's own broker
	External = "external" // tokens of the tenant's identity provider
	Mixed    = "mixed"    // internal first, then external
)

// Authentication says how a realm decides.
type Authentication struct {
	Type          string        // Internal, External or Mixed
	Timeout       time.Duration // of one decision
	Cache         Cache
	Authenticator Part
	TokenBroker   Part         // the zero Part in an external realm
	TokenService  TokenService // disabled in an external realm
}

// Cache says how long a realm's decisions are remembered at most. Zero means not at all.
type Cache struct {
	MaxAge       time.Duration
	DeniedMaxAge time.Duration // of those that deny, no longer than MaxAge
}

// TokenService is the OAuth 2.0 token endpoint of a realm (RFC 6749).
type TokenService struct {
	Type         string            // default or disabled
	DefaultScope string            // for a request without scope; empty means that such a request is refused
	ScopeAliases map[string]string // scope -> the scope that it stands for
	MaxSession   time.Duration     // from a client's authentication to the end of the last token that comes from it
	Limit        Limit
}

// Limit says how often peers and clients may ask a token endpoint, and how long they wait after failures.
type Limit struct {
	ClientRate             float64 // authenticated requests of a client per second; zero means no limit
	ClientBurst            int
	PeerRate               float64 // requests of a peer per second; zero means no limit
	PeerBurst              int
	IntrospectionRate      float64 // of a client and of a peer, in place of both, where tokens are introspected
	IntrospectionBurst     int
	Failures, PeerFailures int           // that are free: of a client from one peer, of a peer with any clients; zero means that no failure waits
	Delay, MaxDelay        time.Duration // the first wait and the longest one
	Forget                 time.Duration // without failures, after which they are forgotten
}
