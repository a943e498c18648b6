// Package egress owns the addresses that are never connected to on behalf of others: those of a cloud's metadata service,
// and whatever else an operator refuses.
//
// A URL is checked when it arrives ([List.CheckURL]), so that its author hears of it, and once more when it is used: the
// dialer of [List.Dialer] looks at the address that a name has led to, so that a name which changes its mind in between
// (DNS rebinding) gains nothing. [NewClient] puts the second check into an HTTP client that follows no redirects.
// [Authorities] reads whose certificates such a client believes, and [ReadFile] any file that such a client is set up with.
package egress
