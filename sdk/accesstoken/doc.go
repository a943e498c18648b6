// Package accesstoken owns what the access tokens of a realm look like, whoever holds the key that signs them: which claims a
// grant becomes, how a token is recognised as one of the realm's own, and which of its claims are checked. A token broker
// adds the signature and the check of it. It imports the standard library only.
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
// A token is bound to its realm three times: by iss, aud and realm. Realms that share a key do not accept each other's
// tokens.
package accesstoken
