// Package protocol holds docs/plugins/protocol.md against what is so: its tables against the contract's descriptors, its limits against the
// host's half of the contract on both sides of each bound, and what it says of the start by starting processes.
package protocol
