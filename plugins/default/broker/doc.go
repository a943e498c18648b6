// Package broker owns the bundled token brokers, key-pair, rsa-key-pair and symmetric-key: a realm's own access tokens, how
// they are signed and how they are recognised again.
//
// A token is a JWT (RFC 7519) in the profile of RFC 9068: its type is at+jwt, its kid names the key. Its claims:
//
//	iss             issuer of the realm
//	aud             audience, a list
//	sub             id of the principal; left out if only its name is known
//	principal_name  name of the principal
//	realm           name of the realm
//	client_id       client that obtained the token
//	scope           granted scope, separated by spaces; the requested roles
//	jti             token id, the host's: tokens of one session have the same beginning
//	iat, exp        issued at, expires
//	auth_time       when the client or user proved who they are; token exchange keeps it
//	csv             version of the client secret that obtained the token
//
// A broker has one key that signs and any number that verify. Where they come from is a source: a ring of keys from files
// and secret stores, which an operator rotates by references to the next and the former one, or a key folder (see
// sdk/keyset), whose keys rotate by the clock.
//
// A token is bound to its realm three times: by iss, aud and realm. Realms that share a key do not accept each other's
// tokens.
package broker
