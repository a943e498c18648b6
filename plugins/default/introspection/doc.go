// Package introspection owns the identity provider for opaque tokens: it asks the provider that issued a token what the
// token is worth (RFC 7662).
//
// Answers are remembered for a short, configured time, so that a token that is revoked over there is refused here soon
// after. Only the hash of a token is kept. A provider that is down, or that answers what no provider should, makes a
// decision unavailable, never denied.
package introspection
