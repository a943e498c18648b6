package sdk

import (
	"errors"
	"fmt"
	"slices"
)

// Want is something that an implementation asks the host for, beyond the references of its own settings and those that
// come with a Vend or a Sign. The host answers what the implementation wants and the operator allows.
type Want uint8

// The wants, numbered as in the contract's enum Want.
const (
	WantPrincipals     Want = 1 + iota // [FindPrincipal]
	WantAccessKeys                     // [FindAccessKey]
	WantGrantedSecrets                 // [SecretRef.Value] of what is granted to the realm that is being served
)

var wantNames = [...]string{WantPrincipals: "principals", WantAccessKeys: "access-keys", WantGrantedSecrets: "granted-secrets"}

// IsKnown says whether this version of the package has a name for the want.
func (w Want) IsKnown() bool { return w > 0 && int(w) < len(wantNames) }

// String gives the name of the want as it is written in documents and messages, e.g. "access-keys".
func (w Want) String() string {
	if !w.IsKnown() {
		return fmt.Sprintf("want(%d)", uint8(w))
	}
	return wantNames[w]
}

// Wants says what the implementation asks the host for. What it does not say is refused, see [ErrNotAllowed].
func Wants(all ...Want) Option {
	return func(i *Implementation) {
		for _, w := range all {
			if !slices.Contains(i.wants, w) {
				i.wants = append(i.wants, w)
			}
		}
	}
}

// ErrNotAllowed is in the chain of the error of a look-up, or of a secret's value, that the host refuses: the implementation
// does not say that it wants it, or the operator does not allow it. The caller is not at fault: it must not become a denial.
var ErrNotAllowed = errors.New("the host does not allow it")
