// Package lock owns the lock file: which plugins may run, and as what. It knows no process; the catalog is given the entry of
// each plugin and minds it.
package lock
