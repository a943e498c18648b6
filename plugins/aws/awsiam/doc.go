// Package awsiam owns the identity provider for callers who prove an identity of AWS IAM: they hand over a signed request
// for STS GetCallerIdentity, and STS says whose it is.
//
// A caller's request is never passed on. What it says is read against allow-lists, and another one is made of it: to a host
// of STS that this package knows, for this one action, with an audience that the caller has signed. Everything that can be
// told without STS is told first.
//
// An answer is remembered for the whole proof and nothing less, by its hash, so that no two identities share one, whichever
// account they are of.
package awsiam
