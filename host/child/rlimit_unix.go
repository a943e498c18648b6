//go:build unix && !linux

package child

import "github.com/hashicorp/go-hclog"

func restrict(int, Limits, *group) error { return nil }

// admit says what of the limits cannot be kept: on this system none.
func admit(log hclog.Logger, l Limits, _ *group, _ *User) {
	if l != (Limits{}) {
		log.Warn("limits are kept on Linux only")
	}
}
