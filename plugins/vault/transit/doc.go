// Package transit owns the token broker that signs with a key of a transit engine: the private key never leaves the server.
// The public versions of the key are kept, so that tokens are verified here, whether the server answers or not.
//
// Each version of the key has an id, the thumbprint of its public half (RFC 7638), and is used by the clock: a version is
// published as soon as it is seen, and signs once it is older than publish_ahead, so that nodes agree without talking to each
// other and whoever verifies knows a version before it signs.
package transit
