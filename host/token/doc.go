// Package token is the OAuth 2.0 token service of one realm (RFC 6749): it owns the token endpoint's wire form, client
// authentication, the rules of scopes, and the check of what a token broker issued. Who a client is it asks the directory,
// whether the principal may have the roles it asks the realm's plan, and the token itself a broker makes.
//
// Only the client credentials grant (RFC 6749 section 4.4) is offered. Errors carry one of the six codes of section 5.2
// and nothing else; the section has no code for "the server is at fault", so that is a bare 503 with Retry-After.
package token
