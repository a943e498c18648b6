// Package deptest owns the rules of docs/architecture.md that a machine can check: which room may import what, also through
// others; how many dependencies a published module may have; that each room says what it owns.
package deptest
