// Package breaker owns the circuit breaker: what fails again and again is left alone for a while, so that whoever needs it is
// told at once, and it is asked again by one caller at a time. It needs the standard library only.
//
// A part that calls other servers puts [Outbound.Transport] before its transport:
//
//	client.Transport = breaker.OutboundOf(ctx).Transport("acme", client.Transport, egress.Theirs)
//
// The breakers are those of the process, by part and server; what they leave alone appears in the host's metrics, in its list of
// plugins and in its log.
package breaker
