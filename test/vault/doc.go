// Package vault owns the proof that the parts of the Vault plugin work with a real server, and with the daemon around them,
// through everything that befalls a server: sealed, restarted, gone, slow, with tokens, leases and keys that end.
package vault
