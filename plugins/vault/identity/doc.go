// Package identity owns the identity provider for tokens of Vault and OpenBao: the server itself is asked what a token that
// somebody presents is, with that token. No token is kept, only an HMAC of it with a key of the process's own.
package identity
