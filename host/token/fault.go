package token

import (
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

// Fault is a refusal of the token endpoint (RFC 6749 section 5.2).
type Fault struct {
	Code        string // one of the codes below
	Description string // for the client's developer: printable ASCII without " and \; never a secret

	why string // for the log only: what the client is not told
}

// The error codes that the endpoint uses: all that RFC 6749 section 5.2 knows. Clients such as pyiceberg accept no other.
const (
	CodeInvalidRequest       = "invalid_request"
	CodeInvalidClient        = "invalid_client"
	CodeInvalidGrant         = "invalid_grant"
	CodeUnauthorizedClient   = "unauthorized_client"
	CodeUnsupportedGrantType = "unsupported_grant_type"
	CodeInvalidScope         = "invalid_scope"
)

// Error gives code and description.
func (f *Fault) Error() string { return f.Code + ": " + f.Description }

// badClient is the one answer to an unknown client, a wrong secret and a principal that may not enter.
var badClient = &Fault{Code: CodeInvalidClient, Description: "client authentication failed"}

// badSubject is the one answer to a subject token that cannot be exchanged, with the code that RFC 8693 section 2.2.2 asks
// for.
func badSubject(why string) *Fault {
	return &Fault{Code: CodeInvalidRequest, Description: "the subject token is not valid, or not any more", why: why}
}

func refuse(code, description string) *Fault { return &Fault{Code: code, Description: description} }

// faultOf translates the plan's no. A principal that may not enter is told no more than a client with a wrong secret.
func faultOf(d *sdk.Denial) *Fault {
	switch {
	case d == nil || !d.Forbidden:
		return badClient
	case d.Reason == "role_not_granted":
		return refuse(CodeInvalidScope, "a requested role is not granted")
	case strings.HasPrefix(d.Reason, "principal_"):
		return badClient
	}
	return refuse(CodeUnauthorizedClient, "the principal may not have a token")
}
