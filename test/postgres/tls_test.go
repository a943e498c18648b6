package postgres

import (
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/pgtest"
	"github.com/realmgate/realmgate/internal/vaulttest"
)

// The server's certificate is believed where the authority is, and the name: nobody else is given the password, or believed.
func TestTLS(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	db := exampleDatabase(t, server)
	authority, stranger := vaulttest.NewAuthority(t), vaulttest.NewAuthority(t)
	cert, key := authority.ServerCertificate(t) // of localhost and 127.0.0.1
	for name, from := range map[string]string{"server.crt": cert, "server.key": key} {
		raw, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		server.Write(t, name, raw)
	}
	_, port, err := net.SplitHostPort(server.Address())
	if err != nil {
		t.Fatal(err)
	}
	at := func(host, parameters string) []string {
		return []string{address, `"postgres://realmgate@` + net.JoinHostPort(host, port) + "/app?" + parameters + "\"\n      cache_for = \"PT0S\"", "p.realm = $3::text", "p.realm = 'acme' AND $3::text <> ''"}
	}
	g := start(t, server.DSNAs("realmgate", "", "app"), map[string][]string{
		"verified":  at("localhost", "sslrootcert="+authority.CAFile),
		"stranger":  at("localhost", "sslrootcert="+stranger.CAFile),
		"machine":   at("localhost", ""), // whose authorities do not know it
		"name":      at("127.0.0.2", "sslrootcert="+authority.CAFile),
		"authority": at("127.0.0.2", "sslmode=verify-ca&sslrootcert="+authority.CAFile),
		"deceived":  at("127.0.0.2", "sslmode=verify-ca&sslrootcert="+stranger.CAFile),
	})
	g.want("verified", "eve", "ALL", http.StatusServiceUnavailable, "") // the server has no TLS yet, and no password without
	execute(t, db, `ALTER SYSTEM SET ssl = on`)
	server.Stop()
	server.Restart(t)
	for realm, ok := range map[string]bool{"verified": true, "authority": true, "stranger": false, "machine": false, "name": false, "deceived": false} {
		status, roles := http.StatusOK, "dev,ops"
		if !ok {
			status, roles = http.StatusServiceUnavailable, ""
		}
		g.want(realm, "eve", "ALL", status, roles)
		g.want(realm, "eve", "ALL", status, roles)
	}
	if log := g.Log.String(); strings.Contains(log, password) || !strings.Contains(log, "certificate") {
		t.Errorf("the log does not say why, or too much:\n%s", log)
	}
}
