// Package secrets owns the bundled secret resolvers: env gives environment variables that the store's block lists, file
// keeps secrets as files below one directory, sealed-file keeps what is written through it, sealed, in versions. An
// operator's configuration may name stores of the first two types, an API's caller may not; the host sees to that.
package secrets
