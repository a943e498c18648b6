// Package flight owns work that several callers want at the same time: it is done once, on behalf of the one who came first, for
// all who wait, and none of them is hurt when another one leaves.
package flight
