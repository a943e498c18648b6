package connection

import (
	"errors"
	"net/http"
	"strings"
	"unicode"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/custody"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/sdk"
)

// Codes of a Fault.
const (
	CodeInvalid          = "invalid"      // 400; Field names the culprit
	CodeForbidden        = "forbidden"    // 403: no active role allows it
	CodeNotGranted       = "not_granted"  // 403: a secret reference that the realm may not use
	CodeDenied           = "denied"       // 403: a vendor said no without a reason of its own
	CodeHostRefused      = "host_refused" // 403: a request to a host that is not the connection's
	CodeNotFound         = "not_found"
	CodeMethodNotAllowed = "method_not_allowed"
	CodeExists           = "exists"      // 409
	CodeConflict         = "conflict"    // 409: the version is not the current one
	CodeTooLarge         = "too_large"   // 413
	CodeUnsupported      = "unsupported" // 501: what no vendor does, or that of the connection cannot do
	CodeUnavailable      = "unavailable" // 503
	CodeUnaudited        = "unaudited"   // 503: the audit log cannot be written, and so nothing was done
	CodeInternal         = "internal"    // 500
)

// Fault is a refusal, in the words of the API. It never repeats a value that was sent, which may be a secret.
type Fault struct {
	Status  int // of HTTP
	Code    string
	Field   string // JSON path in the body, or the name of a parameter; empty where no single one is at fault
	Message string
	cause   error // for the log, and for the operator
}

// Error gives field and message.
func (f *Fault) Error() string {
	if f.Field == "" {
		return f.Message
	}
	return f.Field + ": " + f.Message
}

// Unwrap gives what is behind the refusal.
func (f *Fault) Unwrap() error { return f.cause }

func invalid(field, message string) *Fault {
	return &Fault{Status: http.StatusBadRequest, Code: CodeInvalid, Field: field, Message: message}
}

func unavailable(message string, cause error) *Fault {
	return &Fault{Status: http.StatusServiceUnavailable, Code: CodeUnavailable, Message: message, cause: cause}
}

// faultOf puts what other rooms answer into the words of the API.
func faultOf(err error) *Fault {
	var f *Fault
	var bad *directory.InvalidError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &bad):
		return invalid(bad.Field, bad.Reason)
	case errors.Is(err, directory.ErrNotFound):
		return &Fault{Status: http.StatusNotFound, Code: CodeNotFound, Message: "there is no such connection in the realm", cause: err}
	case errors.Is(err, directory.ErrExists):
		return &Fault{Status: http.StatusConflict, Code: CodeExists, Field: "name", Message: "there is a connection of that name already", cause: err}
	case errors.Is(err, directory.ErrConflict):
		return &Fault{Status: http.StatusConflict, Code: CodeConflict, Field: "version", Message: "the connection was changed in the meantime; get it again, and change that one", cause: err}
	case errors.Is(err, audit.ErrUnwritten):
		return &Fault{Status: http.StatusServiceUnavailable, Code: CodeUnaudited, Message: "nothing was done: the audit log cannot be written; the daemon's log says more", cause: err}
	case errors.Is(err, secret.ErrNotGranted), errors.Is(err, secret.ErrReadOnly), errors.Is(err, secret.ErrPinned):
		return unavailable("the realm's secret store cannot be written: it is not granted to the realm at secret_prefix, or takes no secrets", err)
	case errors.Is(err, custody.ErrNoStore):
		return invalid("", custody.ErrNoStore.Error()+"; give references to secrets instead")
	}
	return unavailable("the directory or a secret store does not answer; the daemon's log says more", err)
}

// refused turns a vendor's denial into a refusal. It is never a 401: the caller's own credential is well.
func refused(d *sdk.Denial) *Fault {
	f := &Fault{Status: http.StatusForbidden, Code: snake(d.Reason), Message: cleaned(d.Detail), cause: d}
	if f.Code == "" {
		f.Code = CodeDenied
	}
	if f.Message == "" {
		f.Message = "the remote system, or the vendor of its credentials, says no"
	}
	return f
}

// Bounds of what a denial may say, in bytes.
const (
	maxReason = 64
	maxDetail = 1024
)

func snake(s string) string {
	s = strings.Map(func(c rune) rune {
		if c == '_' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, s)
	return s[:min(len(s), maxReason)]
}

func cleaned(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), maxDetail)], "")
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == 0x2028 || c == 0x2029 {
			return -1
		}
		return c
	}, s)
}
