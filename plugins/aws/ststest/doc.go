// Package ststest owns a stand-in for STS GetCallerIdentity, for tests: it verifies the signature with keys that the test
// gives, and answers as STS does. The S3 servers that can be had for tests do not know this action.
package ststest
