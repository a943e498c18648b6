// Package broker owns the bundled token brokers, key-pair, rsa-key-pair and symmetric-key: the keys of a realm's own access
// tokens, and how they sign and verify. What is in a token is of package accesstoken in the sdk.
//
// A broker has one key that signs and any number that verify. Where they come from is a source: a ring of keys from files
// and secret stores, which an operator rotates by references to the next and the former one, or a key folder (see
// sdk/keyset), whose keys rotate by the clock.
package broker
