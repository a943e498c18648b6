package catalog

import (
	"fmt"

	"github.com/realmgate/realmgate/sdk"
)

// Handle stands for a configured instance, whichever process serves it. Handles can be compared; the zero Handle stands
// for none.
type Handle struct{ inst *instance }

// IsZero says whether h stands for no instance.
func (h Handle) IsZero() bool { return h.inst == nil }

// Plugin gives the name of the plugin; empty for the zero Handle.
func (h Handle) Plugin() string {
	if h.inst == nil {
		return ""
	}
	return h.inst.p.src.Name
}

// ID gives a number that no other instance of the catalog has; 0 for the zero Handle.
func (h Handle) ID() uint64 {
	if h.inst == nil {
		return 0
	}
	return h.inst.id
}

// Kind gives the kind; 0 for the zero Handle.
func (h Handle) Kind() sdk.Kind {
	if h.inst == nil {
		return 0
	}
	return h.inst.in.Kind
}

// Type gives the type; empty for the zero Handle.
func (h Handle) Type() string {
	if h.inst == nil {
		return ""
	}
	return h.inst.in.Type
}

// String gives kind, plugin and type, like principal-mapper(acme/badge).
func (h Handle) String() string {
	if h.inst == nil {
		return "none"
	}
	return fmt.Sprintf("%v(%s/%s)", h.Kind(), h.Plugin(), h.Type())
}
