package aws

import (
	"os"
	"testing"
	"time"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/daemontest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	buildtest.Clean()
	os.Exit(code)
}

const readyTimeout = time.Minute

// daemon is a running realmgate with the plugins default and aws.
type daemon struct {
	*daemontest.Daemon
	t *testing.T
}

// newDaemon writes the configuration of a daemon that does not run yet; listener are further lines of its listener.
func newDaemon(t *testing.T, listener, hcl string) *daemon {
	t.Helper()
	return &daemon{t: t, Daemon: daemontest.New(t, daemontest.Options{Plugins: []string{"aws"}, Listener: listener, HCL: hcl})}
}

func startDaemon(t *testing.T, listener, hcl string) *daemon {
	t.Helper()
	d := newDaemon(t, listener, hcl)
	d.Start()
	return d
}

// check asks the forward-auth door of a realm about a bearer token: the principal or the reason, and the roles.
func (d *daemon) check(realm, token string) (status int, who, roles string) {
	d.t.Helper()
	a := d.Check(realm, token)
	who, roles = a.Who()
	return a.Status, who, roles
}
