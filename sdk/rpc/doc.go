// Package rpc is the plugin contract in Go: it turns the sdk's nouns into messages and back, and holds both halves of
// every service side by side: [Process] is the host's, [Server] the plugin's. It owns the session stream with its
// batches, its bounds and its host calls.
//
// Authors of plugins do not need it: sdk/serve uses it for them.
package rpc
