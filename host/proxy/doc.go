// Package proxy owns the local reverse proxy that signs: a client sends a request without credentials to a listener, each of
// which stands for one connection; the proxy has the daemon sign it and sends it to the connection's own host, with path
// and query byte by byte as they came, unless the signer wrote the query anew. It knows no key and no token of a connection.
//
// Bodies are streamed both ways. Only where a signature covers the body, and the client does not say its SHA-256 itself
// (X-Amz-Content-Sha256), is the body read first, into memory and then into a file without a name, up to a bound.
//
// A listener that others than one user can connect to demands a token, see [Door]. No signature is kept: the daemon is asked
// for each request, and has a line about each in its audit log.
package proxy
