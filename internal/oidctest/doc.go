// Package oidctest owns a real OpenID provider for tests: the certified npm package oidc-provider, in a child process that
// ends with the test. Tokens come out of its token endpoint by a client_credentials request (RFC 6749, section 4.4) and are
// signed JWT access tokens (RFC 9068) or opaque ones that its introspection endpoint (RFC 7662) knows.
//
// The package is installed once by npm, with the versions and hashes of the lock file, into the user's cache folder.
// Without node or npm, or where they cannot install it, a test is skipped with the reason; where CI=true it fails.
package oidctest
