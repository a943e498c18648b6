// Package origin says where a request came from: the listener, the peer at the other end of the connection, and the
// client behind it as far as trusted proxies tell. The server notes it once per request; whoever audits or limits reads it.
package origin
