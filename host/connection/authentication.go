package connection

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of authentication parameters.
const (
	maxClientID = 1024     // bytes
	maxScopes   = 64       //
	maxScope    = 256      // bytes
	maxSecret   = 16 << 10 // bytes
	maxPolicy   = 2048     // characters, of AssumeRole
	maxExternal = 1224     // the same
	defaultName = "execute-api"
)

// What AWS takes: the IAM API reference, AssumeRole.
var (
	rolePattern      = regexp.MustCompile(`^arn:aws[a-z0-9-]{0,20}:iam::[0-9]{12}:role/(?:[!-~]{1,510}/)?[\w+=,.@-]{1,64}$`)
	sessionPattern   = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	externalPattern  = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)
	regionPattern    = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
	servicePattern   = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$`)
	accessKeyPattern = regexp.MustCompile(`^[!-~]{3,128}$`)
	scopePattern     = regexp.MustCompile(`^[!#-\[\]-~]+$`) // RFC 6749 section 3.3
)

func (c checking) authentication() *Fault {
	switch c.Info.Authentication.Type {
	case AuthOAuth:
		return c.oauth()
	case AuthBearer, AuthImplicit:
		return nil
	case AuthSigV4:
		return c.sigV4()
	}
	return invalid(c.authField("authenticationType"), "is one of OAUTH, BEARER, IMPLICIT and SIGV4")
}

func (c checking) oauth() *Fault {
	a := &c.Info.Authentication
	switch {
	case a.TokenURI != "":
		u, f := parseURI(c.authField("tokenUri"), a.TokenURI)
		if f == nil {
			f = checkWeb(c.authField("tokenUri"), u, c.deny)
		}
		if f != nil {
			return f
		}
	case c.Info.Type != TypeIcebergREST:
		return invalid(c.authField("tokenUri"), "is missing; only a connection of the type ICEBERG_REST has a token endpoint below its URI")
	}
	if a.ClientID == "" || len(a.ClientID) > maxClientID || strings.ContainsFunc(a.ClientID, unicode.IsControl) {
		return invalid(c.authField("clientId"), fmt.Sprintf("has 1 to %d bytes and no control character", maxClientID))
	}
	if len(a.Scopes) > maxScopes {
		return invalid(c.authField("scopes"), fmt.Sprintf("are more than %d", maxScopes))
	}
	for i, scope := range a.Scopes {
		if len(scope) > maxScope || !scopePattern.MatchString(scope) {
			return invalid(fmt.Sprintf("%s[%d]", c.authField("scopes"), i), fmt.Sprintf(`has 1 to %d printable ASCII characters, no space, " or \`, maxScope))
		}
	}
	return nil
}

func (c checking) sigV4() *Fault {
	a := &c.Info.Authentication
	if a.SigningName == "" {
		a.SigningName = defaultName
	}
	switch {
	case !regionPattern.MatchString(a.SigningRegion):
		return invalid(c.authField("signingRegion"), "is missing or not the name of a region, e.g. eu-central-1")
	case !servicePattern.MatchString(a.SigningName):
		return invalid(c.authField("signingName"), "is not the name of a service, e.g. execute-api, glue or s3")
	case a.RoleARN == "" && a.AccessKeyID == "":
		return invalid(c.authField("roleArn"), "is missing; without a role, accessKeyId and secretAccessKey are wanted")
	case a.RoleARN != "" && a.AccessKeyID != "":
		return invalid(c.authField("accessKeyId"), "and roleArn exclude each other")
	case a.RoleARN != "":
		return c.role()
	}
	for _, x := range []struct{ field, value string }{{"roleSessionName", a.RoleSessionName}, {"externalId", a.ExternalID}, {"sessionPolicy", a.SessionPolicy}} {
		if x.value != "" {
			return invalid(c.authField(x.field), "goes with roleArn only")
		}
	}
	if !accessKeyPattern.MatchString(a.AccessKeyID) {
		return invalid(c.authField("accessKeyId"), "has 3 to 128 printable ASCII characters")
	}
	return nil
}

func (c checking) role() *Fault {
	a := &c.Info.Authentication
	switch {
	case !rolePattern.MatchString(a.RoleARN):
		return invalid(c.authField("roleArn"), "is not the ARN of a role, e.g. arn:aws:iam::123456789012:role/catalog")
	case a.RoleSessionName != "" && !sessionPattern.MatchString(a.RoleSessionName):
		return invalid(c.authField("roleSessionName"), "has 2 to 64 letters, digits and _+=,.@-")
	case a.ExternalID != "" && (len(a.ExternalID) > maxExternal || !externalPattern.MatchString(a.ExternalID)):
		return invalid(c.authField("externalId"), fmt.Sprintf("has 2 to %d letters, digits and _+=,.@:/-", maxExternal))
	case a.SessionPolicy == "":
		return nil
	case utf8.RuneCountInString(a.SessionPolicy) > maxPolicy:
		return invalid(c.authField("sessionPolicy"), fmt.Sprintf("is longer than %d characters", maxPolicy))
	}
	var policy map[string]json.RawMessage // whose keys count with their case
	if json.Unmarshal([]byte(a.SessionPolicy), &policy) != nil {
		return invalid(c.authField("sessionPolicy"), "is not a JSON object")
	}
	if s := strings.TrimSpace(string(policy["Statement"])); !strings.HasPrefix(s, "{") && (!strings.HasPrefix(s, "[") || strings.TrimSpace(s[1:len(s)-1]) == "") {
		return invalid(c.authField("sessionPolicy"), "is a policy without a Statement")
	}
	return nil
}

// secrets checks those that are given; which ones there must be depends on what is there already, see wanted.
func (c checking) secrets() *Fault {
	for field, given := range c.Secrets {
		if f := checkSecret(c.authField(field), given); f != nil {
			return f
		}
		if field != FieldClientSecret && field != FieldBearerToken && c.Info.Authentication.RoleARN != "" {
			return invalid(c.authField(field), "and roleArn exclude each other")
		}
	}
	return nil
}

func checkSecret(field string, g Given) *Fault {
	if !g.Reference.IsZero() {
		return nil
	}
	v := string(g.Value.Reveal())
	switch {
	case v == "":
		return invalid(field, "is empty")
	case len(v) > maxSecret:
		return invalid(field, fmt.Sprintf("is longer than %d bytes", maxSecret))
	case !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl) || strings.TrimSpace(v) != v:
		return invalid(field, "has a control character, or white space around it")
	}
	return nil
}

// wanted gives the secrets that a connection must have.
func (a Authentication) wanted() []string {
	switch {
	case a.Type == AuthOAuth:
		return []string{FieldClientSecret}
	case a.Type == AuthBearer:
		return []string{FieldBearerToken}
	case a.AccessKeyID != "":
		return []string{FieldSecretAccessKey}
	}
	return nil
}

// identityType gives the type of the service identity that a connection needs, empty for none.
func (a Authentication) identityType() string {
	if a.RoleARN != "" {
		return IdentityAWSIAM
	}
	return ""
}
