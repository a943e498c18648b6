// Package privatefile owns the reading of files that nobody else may read, keys and secrets, and the making of their folders.
package privatefile
