package oauth

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/realmgate/realmgate/plugins/default/vendors/bearer"
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/egress"
)

// Type is the authentication type of the connections with client credentials.
const Type = "OAUTH"

// icebergTokens is where an Iceberg REST catalog has its token endpoint below its URI.
const icebergTokens = "/v1/oauth/tokens"

// parameters are the authentication parameters of a connection, in the names of Polaris' management API.
type parameters struct {
	TokenURI     string        `json:"tokenUri"`
	ClientID     string        `json:"clientId"`
	ClientSecret sdk.SecretRef `json:"clientSecret"`
	Scopes       []string      `json:"scopes"`

	endpoint *url.URL
}

func invalid(field, format string, args ...any) error {
	return sdk.Forbid(bearer.ReasonConnection, "%s: %s", field, fmt.Sprintf(format, args...))
}

// parse checks the parameters of a connection. Errors are denials that name the field.
func parse(c *sdk.Connection, deny egress.List, allowHTTP bool) (*parameters, error) {
	p := &parameters{}
	if c.AuthenticationType != Type || json.Unmarshal(c.Authentication, p) != nil {
		return nil, invalid("authenticationParameters", "they are not those of %s", Type)
	}
	switch {
	case p.ClientID == "":
		return nil, invalid("clientId", "it is needed")
	case p.ClientSecret.IsZero():
		return nil, invalid("clientSecret", "it is needed")
	}
	field, text := "tokenUri", p.TokenURI
	if text == "" {
		if c.Type != "ICEBERG_REST" {
			return nil, invalid("tokenUri", "it is needed, except for a connection of the type ICEBERG_REST")
		}
		field, text = "uri", strings.TrimRight(c.URI, "/")+icebergTokens
	}
	u, err := url.Parse(text)
	if err != nil { // which repeats the text
		return nil, invalid(field, "it is not a URL")
	}
	if err := deny.CheckURL(u); err != nil {
		return nil, invalid(field, "%v", err)
	}
	if u.Fragment != "" || strings.HasSuffix(text, "#") {
		return nil, invalid(field, "the URL has a fragment")
	}
	if err := egress.CheckSecret(u); err != nil && !allowHTTP {
		return nil, invalid(field, "%v", err)
	}
	p.endpoint = u
	return p, nil
}

// shown gives the endpoint for errors: what stands in a query may be a secret.
func (p *parameters) shown() string {
	return p.endpoint.Scheme + "://" + p.endpoint.Host + p.endpoint.EscapedPath()
}
