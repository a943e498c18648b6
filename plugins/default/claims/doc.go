// Package claims owns the default principal mapper: it reads a principal's id and name from the claims of a foreign
// identity.
package claims
