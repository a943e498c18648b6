// Package awstest owns, for tests only, what stands in for AWS where no real server is to be had: a verifier of signatures that
// was written from the specification and shares nothing with the SDK, an STS that can be made to misbehave, and the two
// services that keep secrets, as far as their resolvers need them.
package awstest
