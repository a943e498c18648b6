// Package redact owns how secrets are found in texts: whole and in pieces, as they are and in the forms that logs, errors and
// URLs have them without anybody's wish to hide them.
package redact
