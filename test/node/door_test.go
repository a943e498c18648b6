package node

import (
	"testing"

	"github.com/realmgate/realmgate/internal/doortest"
	"github.com/realmgate/realmgate/internal/need"
)

// Only the host that started it speaks with the plugin, and only in the way that it was started for.
func TestDoor(t *testing.T) {
	t.Parallel()
	command := []string{need.Command(t, "node"), build(t)}
	folder, host := doortest.Folder(t), doortest.HostCertificate(t)
	for _, env := range [][]string{{folder, host}, {doortest.Cookie, folder}, {doortest.Cookie, host}} {
		doortest.Refuses(t, command, env...)
	}
	doortest.Check(t, command)
}
