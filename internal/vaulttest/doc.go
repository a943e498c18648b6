// Package vaulttest owns a real Vault server for tests, built once by .ci/vault into the user's cache folder from the pins in
// the folder server. Nothing of it is linked into a binary of ours. The server's licence (BUSL) allows its use for tests.
package vaulttest
