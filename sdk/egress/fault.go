package egress

import (
	"crypto/tls"
	"errors"
	"net"
)

// Theirs says whether an error of a client is the doing of the server, or of the way to it, rather than of how the client is set
// up: an address that is refused, an answer beyond a bound, a certificate that is not trusted, and one of ours that the server does
// not accept are not.
func Theirs(err error) bool {
	var untrusted *tls.CertificateVerificationError
	var op *net.OpError
	switch {
	case errors.Is(err, ErrRefused), errors.Is(err, ErrTooLong), errors.As(err, &untrusted):
		return false
	case errors.As(err, &op) && op.Op == "remote error": // an alert of TLS
		return false
	}
	return true
}
