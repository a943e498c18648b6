package token

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Paths of the endpoints below the realm's URL. The server routes them.
const (
	TokenPath      = "/v1/oauth/tokens"
	RevokePath     = "/v1/oauth/revoke"
	IntrospectPath = "/v1/oauth/introspect"
	KeysPath       = "/v1/jwks"
)

// metadataKeep is how long clients may keep the metadata.
const metadataKeep = 5 * time.Minute

// metadata describes the realm to its clients: RFC 8414 section 2, and OpenID Connect Discovery 1.0 section 3 as far as it
// holds for a server without an authorization endpoint. response_types_supported is required by both and therefore there,
// though empty, which RFC 8414 section 3.2 forbids: OpenID libraries insist on the key, and none on the other rule; the algorithms are those of the access tokens, since there are no others: relying-party libraries verify
// with them.
type metadata struct {
	Issuer                string   `json:"issuer"`
	TokenEndpoint         string   `json:"token_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	KeysURI               string   `json:"jwks_uri,omitempty"`
	Scopes                []string `json:"scopes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	Algorithms            []string `json:"id_token_signing_alg_values_supported,omitempty"`
	TokenAuth             []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuth        []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
}

// ServeMetadata gives the metadata of the realm, the same for RFC 8414 and for OpenID Connect Discovery. Nothing in it comes
// from the request.
func (s *Service) ServeMetadata(w http.ResponseWriter, r *http.Request) {
	if !isGet(w, r) {
		return
	}
	auth := []string{"client_secret_basic", "client_secret_post"}
	m := metadata{
		Issuer: s.c.Issuer, TokenEndpoint: s.c.URL + TokenPath, RevocationEndpoint: s.c.URL + RevokePath, IntrospectionEndpoint: s.c.URL + IntrospectPath,
		Scopes:     append([]string{s.c.RolePrefix + roleAll}, slices.Sorted(maps.Keys(s.aliases))...),
		GrantTypes: []string{grantClientCredentials, grantTokenExchange}, ResponseTypes: []string{}, SubjectTypes: []string{"public"},
		TokenAuth: auth, RevocationAuth: auth, IntrospectionAuth: auth,
	}
	switch p, err := s.keys.get(r.Context()); {
	case err == nil:
		m.KeysURI, m.Algorithms = s.c.URL+KeysPath, p.algs
	case !errors.Is(err, errNoKeys):
		s.log(r).Error("metadata is unavailable", "error", err)
		WriteUnavailable(w, r)
		return
	}
	body, err := json.Marshal(m)
	if err != nil {
		s.log(r).Error("metadata is unavailable", "error", err)
		WriteUnavailable(w, r)
		return
	}
	writePublic(w, r, body, metadataKeep)
}
