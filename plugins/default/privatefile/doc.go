// Package privatefile owns the reading of files that only their owner may read: keys and secrets.
package privatefile
