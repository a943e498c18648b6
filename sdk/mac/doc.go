// Package mac owns the names under which answers are remembered that depend on a secret text, such as a token: keyed hashes
// (HMAC-SHA256) of all that an answer depends on. Host and plugins make them alike. It needs the standard library only.
package mac
