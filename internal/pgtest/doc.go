// Package pgtest owns a real PostgreSQL server for tests.
package pgtest
