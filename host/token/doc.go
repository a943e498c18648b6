// Package token is the OAuth 2.0 token service of one realm: it owns the wire form of the token endpoint (RFC 6749) and of
// revocation (RFC 7009), introspection (RFC 7662), metadata (RFC 8414) and published keys (RFC 7517), client
// authentication, the rules of scopes and of sessions, and the check of what a token broker issued. Who a client is it asks
// the directory, whether a principal may have roles and whether a token is valid it asks the realm's plan, and the token
// itself a broker makes.
//
// Two grants are offered: client credentials (RFC 6749 section 4.4) and token exchange (RFC 8693), by which a client gets
// another token of its own principal. Errors of the token endpoint carry one of the six codes of RFC 6749 section 5.2 and
// nothing else; the section has no code for "the server is at fault", so that is a bare 503 with Retry-After.
package token
