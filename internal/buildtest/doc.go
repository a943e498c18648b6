// Package buildtest owns the binaries that tests run as real processes: it builds the commands of this project, once for a
// test process.
package buildtest
