// Package client owns how the plugin reaches AWS and what speaks its protocols: endpoint, certificates, refused addresses and
// bounds of the HTTP client that the SDK is given, and what is told of the errors that come back.
package client
