// Package nginxtest owns a real nginx for tests, on loopback ports of its own, with a configuration that the test writes.
// It ends with the test. Without nginx on PATH or in /usr/sbin a test is skipped with the reason; where CI=true it fails.
package nginxtest
