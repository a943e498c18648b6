// Package client owns how the plugin reaches a Vault or OpenBao server: addresses and their order, certificates, refused
// addresses, time-outs and repetitions, and what is told of an answer that is an error. It reads no environment: what a
// question needs is in the settings.
package client
