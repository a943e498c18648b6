// Package breaker owns the circuit breaker: what fails again and again is left alone for a while, so that whoever needs it is
// told at once, and it is asked again by one caller at a time. It needs the standard library only.
package breaker
