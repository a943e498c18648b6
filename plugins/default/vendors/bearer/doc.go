// Package bearer owns bearer tokens for remote systems (RFC 6750): which texts are such tokens, when they end, and how a
// request carries one. With them it owns the credential vendor for connections that have a token of their own.
package bearer
