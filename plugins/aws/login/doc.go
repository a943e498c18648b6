// Package login owns the other end of the identity provider aws-iam: it makes a proof of an AWS identity out of the
// credentials of whoever runs it, and prints it.
package login
