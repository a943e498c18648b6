// Package reload owns how a running daemon takes a new configuration: it is read, checked, built beside the one that serves,
// and only then switched to. Whatever goes wrong on the way leaves the daemon with what it had. Plugins that were started
// for it are watched for a while; if one does not stay well, the former generation, which is kept whole until then, serves
// again.
package reload
