// Package capture owns one thing: what a child process of a test prints, which a failing test may read while the process
// still writes.
package capture
