// Package sigv4 owns the credential vendor for connections with the authentication type SIGV4: it takes a connection's role
// on with the service identity's keys, remembers the session for as long as it is good, and signs requests with it.
package sigv4
