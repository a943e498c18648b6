package proxy

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/connection"
)

// Codes of the proxy's own answers, in the body and in the header Realmgate-Proxy-Error, which tells them from those of the
// remote system.
const (
	codeToken       = "token_needed"
	codeRequest     = "request_invalid"
	codeBody        = "body_incomplete"
	codeBodyTimeout = "body_timeout"
	codeTooLarge    = "body_too_large"
	codeUnsupported = "unsupported"
	codeExpectation = "expectation_unknown"
	codeRefused     = "signature_refused"
	codeUnavailable = "signature_unavailable"
	codeAnswer      = "signature_invalid"
	codeSpool       = "spool_failed"
	codeAddress     = "address_refused"
	codeRemote      = "remote_unreachable"
	codeTimeout     = "remote_timeout"
)

const errorHeader = "Realmgate-Proxy-Error"

// fault is an answer of the proxy's own.
type fault struct {
	status  int
	code    string
	message string
	cause   error // for the log
}

func (f *fault) Error() string { return f.code + ": " + f.message }

func (f *fault) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(errorHeader, f.code)
	switch f.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="realmgate proxy"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(f.status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(map[string]any{"error": map[string]string{"code": f.code, "message": f.message}}) // a client that has gone needs no answer
}

// unsigned says why there is no signature.
func unsigned(err error) *fault {
	var e *admin.Error
	if !errors.As(err, &e) {
		return &fault{http.StatusServiceUnavailable, codeUnavailable, "the daemon cannot be asked: " + err.Error(), err}
	}
	f := &fault{http.StatusBadGateway, codeRefused, "the daemon signs no such request: " + e.Error(), err}
	switch {
	case e.Status == http.StatusBadRequest || e.Code == codeRequest:
		f.status, f.code = http.StatusBadRequest, codeRequest
	case e.Status == http.StatusNotImplemented:
		f.status, f.code = http.StatusNotImplemented, codeUnsupported
	case e.Status == http.StatusUnauthorized:
		f.message = "the daemon does not take the proxy's own token: " + e.Error()
	case e.Code == connection.CodeForbidden:
		f.message = "the daemon does not let the proxy use the connection: " + e.Error()
	case e.Status >= 500 || e.Status == http.StatusTooManyRequests:
		f.status, f.code, f.message = http.StatusServiceUnavailable, codeUnavailable, "the daemon cannot sign at the moment: "+e.Error()
	}
	return f
}
