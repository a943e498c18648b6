package connection

import (
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// The types of connection, in Polaris' names.
const (
	TypeIcebergREST = "ICEBERG_REST"
	TypeHadoop      = "HADOOP"
	TypeHive        = "HIVE"
	TypeGenericHTTP = "GENERIC_HTTP"
)

// The types of authentication, in Polaris' names.
const (
	AuthOAuth    = "OAUTH"
	AuthBearer   = "BEARER"
	AuthImplicit = "IMPLICIT"
	AuthSigV4    = "SIGV4"
)

// Connection is a connection, in the form in which the API shows it. It holds no secret.
type Connection struct {
	Name             string                   `json:"name"`
	Info             Info                     `json:"connectionConfigInfo"`
	Properties       map[string]string        `json:"properties"`
	SignHosts        []string                 `json:"signHosts"`                  // hosts beside the URI's own for which requests are signed
	SecretReferences map[string]sdk.SecretRef `json:"secretReferences,omitempty"` // by the key that the secret has in the authentication parameters
	Created          time.Time                `json:"created"`
	Updated          time.Time                `json:"updated"`
	Version          int64                    `json:"version"`           // never used twice in a realm
	Ignored          []string                 `json:"ignored,omitempty"` // of a create or an update: paths in the body that mean nothing here
}

// Info is Polaris' ConnectionConfigInfo.
type Info struct {
	Type              string           `json:"connectionType"`
	URI               string           `json:"uri,omitempty"`
	RemoteCatalogName string           `json:"remoteCatalogName,omitempty"` // of ICEBERG_REST
	Warehouse         string           `json:"warehouse,omitempty"`         // of HADOOP and HIVE
	Authentication    Authentication   `json:"authenticationParameters"`
	ServiceIdentity   *ServiceIdentity `json:"serviceIdentity,omitempty"` // read only
}

// Authentication is what Polaris calls AuthenticationParameters, without the secrets.
type Authentication struct {
	Type string `json:"authenticationType"`

	TokenURI string   `json:"tokenUri,omitempty"` // OAUTH
	ClientID string   `json:"clientId,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`

	RoleARN         string `json:"roleArn,omitempty"` // SIGV4; excludes AccessKeyID
	RoleSessionName string `json:"roleSessionName,omitempty"`
	ExternalID      string `json:"externalId,omitempty"`
	SessionPolicy   string `json:"sessionPolicy,omitempty"` // JSON
	AccessKeyID     string `json:"accessKeyId,omitempty"`
	SigningRegion   string `json:"signingRegion,omitempty"`
	SigningName     string `json:"signingName,omitempty"`
}

// The keys under which secrets stand in the authentication parameters.
const (
	FieldClientSecret    = "clientSecret"    // OAUTH
	FieldBearerToken     = "bearerToken"     // BEARER
	FieldSecretAccessKey = "secretAccessKey" // SIGV4, with accessKeyId
	FieldSessionToken    = "sessionToken"    // SIGV4, with accessKeyId, optional
)

// ServiceIdentity says as whom Realmgate comes to a connection.
type ServiceIdentity struct {
	Type      string      `json:"identityType"`          // IdentityAWSIAM
	IAMARN    string      `json:"iamArn"`                // for the trust policy of the role
	Reference IdentityRef `json:"identityInfoReference"` // to the configuration
}
