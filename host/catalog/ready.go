package catalog

import (
	"fmt"

	"github.com/realmgate/realmgate/sdk/breaker"
)

// Ready says whether an instance can be called now; if not, the error is of ErrUnavailable and says why.
func (s *Set) Ready(h Handle) error {
	if h.inst == nil {
		return ErrUnavailable
	}
	if _, err := h.inst.at(); err != nil {
		return err
	}
	if p := h.inst.p; p.breaker.Open() {
		return fmt.Errorf("plugin %s: %w: %w", p.src.Name, ErrUnavailable, breaker.ErrOpen)
	}
	return nil
}
