package sdk

import (
	"errors"
	"fmt"
)

// Denial is a no: the caller is at fault. It is an error, so that a method returns it as one.
type Denial struct {
	Reason    string   // a code in snake case, see [Deny]; it appears in answers, logs and metrics
	Detail    string   // a sentence for the caller; never a secret
	Forbidden bool     // 403 instead of 401
	Challenge []Header // for the answer, e.g. www-authenticate
}

// Error gives the reason and the detail.
func (d *Denial) Error() string {
	if d.Detail == "" {
		return "denied: " + d.Reason
	}
	return "denied: " + d.Reason + ": " + d.Detail
}

// Deny says that there is no valid credential (401). reason is a code in snake case, e.g. token_expired: 1 to 64 letters a-z,
// digits and _. Any other is shown as "unspecified", and a plugin's log tells of it once. The rest makes the sentence that the
// caller is shown.
func Deny(reason, format string, args ...any) error {
	return &Denial{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Forbid says that the identity is known but may not enter (403). The reason is as in [Deny].
func Forbid(reason, format string, args ...any) error {
	return &Denial{Reason: reason, Detail: fmt.Sprintf(format, args...), Forbidden: true}
}

// ReasonNotMine is the reason of [NotMine], and of nothing else.
const ReasonNotMine = "not_mine"

// NotMine is a verifier's word for a credential that is not of its kind: the next one may be asked.
func NotMine() error {
	return &Denial{Reason: ReasonNotMine, Detail: "the credential is not of this kind"}
}

// AsDenial finds the denial in an error chain; nil if there is none.
func AsDenial(err error) *Denial {
	var d *Denial
	if errors.As(err, &d) {
		return d
	}
	return nil
}
