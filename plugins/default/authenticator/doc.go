// Package authenticator owns the two bundled authenticators: default looks the principal up in the realm's directory,
// claims makes it from a foreign identity alone.
package authenticator
