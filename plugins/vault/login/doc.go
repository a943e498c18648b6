// Package login owns the token with which the plugin asks a server: each way to log in, the token's renewal, a fresh login when
// renewal ends or the server does not know the token any more, and sessions that parts with the same settings share.
package login
