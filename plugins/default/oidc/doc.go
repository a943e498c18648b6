// Package oidc owns the oidc identity provider: it verifies JWT access tokens of an OpenID provider (OpenID Connect Core,
// RFC 7519, RFC 9068) with the keys that the provider publishes.
//
// What a token says about where keys are (jku, x5u, jwk, x5c) is never read: keys come from the hosts of
// issuer, discovery_url and jwks_uri only, bounded in size, time and rate. A provider that is down makes decisions unavailable, never denied, and only once the
// keys that are known already have become too old.
package oidc
