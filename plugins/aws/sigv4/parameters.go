package sigv4

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/realmgate/realmgate/plugins/aws/internal/ascii"
	"github.com/realmgate/realmgate/sdk"
)

// Reasons of denials: what a connection or a caller asks for is not possible, and asking again does not help.
const (
	ReasonConnection = "connection_invalid"    // the connection's parameters; the detail begins with the field's name
	ReasonDenied     = "assume_role_denied"    // STS does not let the service identity take the role on
	ReasonNarrowing  = "narrowing_unsupported" // the credentials cannot be limited as asked
	ReasonLifetime   = "lifetime_too_long"     // no session lives that long
)

func invalid(field, format string, args ...any) error {
	return sdk.Forbid(ReasonConnection, "%s: %s", field, fmt.Sprintf(format, args...))
}

// parameters are the authentication parameters of a connection, in the names of Polaris' management API.
type parameters struct {
	RoleARN         string        `json:"roleArn"`
	RoleSessionName string        `json:"roleSessionName"`
	ExternalID      string        `json:"externalId"`
	SigningRegion   string        `json:"signingRegion"`
	SigningName     string        `json:"signingName"`
	SessionPolicy   string        `json:"sessionPolicy"`
	AccessKeyID     string        `json:"accessKeyId"`
	SecretAccessKey sdk.SecretRef `json:"secretAccessKey"`
	SessionToken    sdk.SecretRef `json:"sessionToken"`

	role role // of RoleARN
}

// role is the ARN of a role in its parts.
type role struct{ partition, account, name string }

const (
	defaultSigningName = "execute-api"
	maxPolicy          = 2048 // of AssumeRole, in characters
	maxExternalID      = 1224 // the same
)

var (
	rolePattern       = regexp.MustCompile(`^arn:(aws[a-z0-9-]{0,20}):iam::([0-9]{12}):role/(?:[!-~]{1,510}/)?([\w+=,.@-]{1,64})$`)
	sessionPattern    = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	externalIDPattern = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)
	regionPattern     = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
	servicePattern    = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$`)
)

// parse checks the parameters of a connection. Errors are denials that name the field.
func parse(c *sdk.Connection) (*parameters, error) {
	p := &parameters{}
	if c.AuthenticationType != authenticationType {
		return nil, invalid("authenticationType", "it is not %s", authenticationType)
	}
	if err := json.Unmarshal(c.Authentication, p); err != nil {
		return nil, invalid("authenticationParameters", "they are not those of SIGV4")
	}
	if p.SigningName == "" {
		p.SigningName = defaultSigningName
	}
	switch {
	case p.SigningRegion == "*":
		return nil, invalid("signingRegion", "signatures for several regions (SigV4A) are not supported")
	case !regionPattern.MatchString(p.SigningRegion):
		return nil, invalid("signingRegion", "it is not the name of a region, e.g. eu-central-1")
	case !servicePattern.MatchString(p.SigningName):
		return nil, invalid("signingName", "it is not the name of a service, e.g. execute-api or s3")
	case p.RoleARN == "" && p.AccessKeyID == "":
		return nil, invalid("roleArn", "it is needed, or accessKeyId and secretAccessKey are")
	case p.RoleARN != "" && (p.AccessKeyID != "" || !p.SecretAccessKey.IsZero() || !p.SessionToken.IsZero()):
		return nil, invalid("roleArn", "it excludes accessKeyId, secretAccessKey and sessionToken")
	case p.RoleARN == "":
		return p, p.checkStatic()
	}
	return p, p.checkRole()
}

func (p *parameters) checkStatic() error {
	switch {
	case p.SecretAccessKey.IsZero():
		return invalid("secretAccessKey", "it is needed beside accessKeyId")
	case p.SessionPolicy != "" || p.ExternalID != "" || p.RoleSessionName != "":
		return invalid("accessKeyId", "sessionPolicy, externalId and roleSessionName are for a role, not for keys")
	}
	return nil
}

func (p *parameters) checkRole() error {
	m := rolePattern.FindStringSubmatch(p.RoleARN)
	switch {
	case m == nil:
		return invalid("roleArn", "it is not the ARN of a role, e.g. arn:aws:iam::123456789012:role/catalog")
	case p.RoleSessionName != "" && !sessionPattern.MatchString(p.RoleSessionName):
		return invalid("roleSessionName", "it has 2 to 64 letters, digits and _+=,.@-")
	case p.ExternalID != "" && (len(p.ExternalID) > maxExternalID || !externalIDPattern.MatchString(p.ExternalID)):
		return invalid("externalId", "it has 2 to 1224 letters, digits and _+=,.@:/-")
	}
	p.role = role{partition: m[1], account: m[2], name: m[3]}
	return checkPolicy(p.SessionPolicy)
}

func checkPolicy(text string) error {
	if text == "" {
		return nil
	}
	var object map[string]json.RawMessage
	switch {
	case utf8.RuneCountInString(text) > maxPolicy:
		return invalid("sessionPolicy", "it is longer than %d characters", maxPolicy)
	case json.Unmarshal([]byte(text), &object) != nil || object == nil:
		return invalid("sessionPolicy", "it is not a JSON object")
	case object["Statement"] == nil:
		return invalid("sessionPolicy", "it has no Statement")
	}
	return nil
}

func notInName(c rune) bool {
	return !ascii.Letter(c) && !strings.ContainsRune("_+=,.@-", c)
}
