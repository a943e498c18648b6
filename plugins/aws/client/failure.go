package client

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/realmgate/realmgate/plugins/aws/internal/ascii"
	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/egress"
)

// maxCode bounds the code of an error.
const maxCode = 64

// Failure is an error of a service. Of the service's own words it keeps the code alone: its sentences may repeat what was
// sent.
type Failure struct {
	Service string
	Code    string // e.g. AccessDenied; empty if the service did not give one
	Status  int    // HTTP; 0 without an answer
	Alone   bool   // it was not asked: it failed again and again
	text    string
}

// Error names service and code.
func (f *Failure) Error() string {
	switch {
	case f.Code != "":
		return fmt.Sprintf("%s answers %s (status %d)", f.Service, f.Code, f.Status)
	case f.Status != 0:
		return fmt.Sprintf("%s answers status %d and what is no answer of %s", f.Service, f.Status, f.Service)
	}
	return f.Service + " " + f.text
}

// Throttled says whether the service wants fewer questions.
func (f *Failure) Throttled() bool {
	return f.Status == 429 || strings.Contains(f.Code, "Throttl") || f.Code == "RequestLimitExceeded" || f.Code == "TooManyRequestsException" || f.Code == "SlowDown"
}

// KeysRefused says whether the keys that the question was signed with are not accepted.
func (f *Failure) KeysRefused() bool {
	switch f.Code {
	case "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch", "UnrecognizedClientException", "ExpiredToken", "ExpiredTokenException",
		"InvalidToken", "InvalidSignatureException", "IncompleteSignature", "AuthFailure", "MissingAuthenticationToken":
		return true
	}
	return false
}

// Denied says whether the identity is known, but not allowed.
func (f *Failure) Denied() bool {
	return f.Code == "AccessDenied" || f.Code == "AccessDeniedException" || f.Code == "UnauthorizedAccess"
}

// FailureOf reads an error of the SDK.
func FailureOf(service string, err error) *Failure {
	f := &Failure{Service: service}
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil {
		f.Status = answer.HTTPStatusCode()
	}
	var api smithy.APIError
	if errors.As(err, &api) && plainCode(api.ErrorCode()) {
		f.Code = api.ErrorCode()
	}
	var to *url.Error
	switch {
	case errors.Is(err, egress.ErrRefused), errors.Is(err, egress.ErrTooLong):
		f.Code, f.Status = "", 0
		f.text = "cannot be asked: " + innermost(err)
	case errors.Is(err, breaker.ErrOpen) && errors.As(err, &to):
		f.Alone, f.text = true, "was not asked: "+to.Err.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &to) && to.Timeout():
		f.text = "does not answer in time"
	case errors.As(err, &to):
		f.text = "cannot be reached: " + innermost(to.Err)
	default:
		f.text = "cannot be asked"
	}
	return f
}

// innermost gives the text of the last error in a chain: the others repeat it with words around it.
func innermost(err error) string {
	for errors.Unwrap(err) != nil {
		if _, ok := err.(interface{ Timeout() bool }); ok { // the one of package net, with the address in it
			break
		}
		err = errors.Unwrap(err)
	}
	return err.Error()
}

func plainCode(s string) bool {
	return s != "UnknownError" && ascii.Consists(s, maxCode, "._")
}
