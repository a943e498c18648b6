// Package secrets owns the two bundled secret resolvers: env gives environment variables that the store's block lists,
// file keeps secrets as files below one directory. An operator's configuration may name such stores, an API's caller may
// not; the host sees to that.
package secrets
