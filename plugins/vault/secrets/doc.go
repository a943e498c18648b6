// Package secrets owns the secret resolver over Vault and OpenBao: the key-value stores of both versions, read and written, and
// secrets that the server makes on demand, whose leases it keeps while they are in use.
package secrets
