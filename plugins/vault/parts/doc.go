// Package parts lists what the Vault plugin offers.
package parts
