// Package foreign owns what the identity providers for foreign tokens have in common: which URLs they may ask, and
// how the claims of a token are read, be they in a JWT or in the answer to an introspection.
package foreign
