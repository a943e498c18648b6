package directory

import (
	"encoding/json"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// Connection is a remote system as it is kept. Its secrets are references.
type Connection struct {
	Realm, Name        string
	Type, URI          string
	RemoteName         string // remote catalog name or warehouse, by the type
	AuthenticationType string
	Authentication     json.RawMessage // a JSON object; under the key of a secret stands its reference
	IdentityType       string          // empty: no service identity
	IdentityARN        string
	IdentityRef        string
	SignHosts          []string
	Properties         map[string]string
	Created, Updated   time.Time
	Version            int64 // moves with every change and is never used twice in a realm
}

// NewConnection says what a connection is created with. Realm, times and version are not looked at. Secrets are the
// planned references that become kept with it.
type NewConnection struct {
	Connection
	Secrets []sdk.SecretRef
}

// ConnectionUpdate replaces a connection, but for its name. Keep are planned references that become kept, Doom are
// kept ones that it no longer needs.
type ConnectionUpdate struct {
	Connection
	ExpectVersion int64 // the version that the change is based on; 0: any
	Keep, Doom    []sdk.SecretRef
}

// WrittenSecret is a reference that we wrote a secret under.
type WrittenSecret struct {
	Realm     string
	Reference sdk.SecretRef
	Owner     string // e.g. connections/glue
	Since     time.Time
}

// NewAccessKey says what an access key is created with.
type NewAccessKey struct {
	ID, Principal string // of the principal, the name
	Secret        sdk.SecretRef
}

// AccessKey is a key with which a principal signs requests.
type AccessKey struct {
	Realm, ID string
	Principal sdk.PrincipalRef
	Enabled   bool // of the principal
	Secret    sdk.SecretRef
	Created   time.Time
}
