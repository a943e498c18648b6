// Package directorytest is the suite that every store of the directory passes: what the directory promises, tested
// against a real, empty store.
package directorytest
