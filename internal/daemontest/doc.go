// Package daemontest owns a running daemon for tests of other modules: built with its plugins, configured on a free port of
// the loopback in a folder of its own, ended with the test; and what such tests ask of it.
package daemontest
