// Package need owns one rule: a test that wants a program of the machine is skipped with its reason where the program is
// missing, and fails where CI=true, so that a test never goes missing unseen where it counts.
package need
