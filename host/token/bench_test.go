package token

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/limit"
)

// BenchmarkBadClient compares what an unknown client, a wrong secret and a disabled principal cost on a real directory:
// whoever measures must not learn which client ids exist.
func BenchmarkBadClient(b *testing.B) {
	d, err := directory.Open(b.Context(), directory.Config{Type: directory.TypeSQLite, Path: filepath.Join(b.TempDir(), "directory.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.Close() })
	one, secret, err := d.CreatePrincipal(b.Context(), "r", directory.NewPrincipal{Name: "one"})
	if err != nil {
		b.Fatal(err)
	}
	two, off, err := d.CreatePrincipal(b.Context(), "r", directory.NewPrincipal{Name: "two"})
	if err != nil {
		b.Fatal(err)
	}
	enabled := false
	if _, err := d.UpdatePrincipal(b.Context(), "r", "two", directory.Update{Enabled: &enabled}); err != nil {
		b.Fatal(err)
	}
	f := newFixture()
	f.Directory = d
	door, err := limit.New(1000, nil)
	if err != nil {
		b.Fatal(err)
	}
	f.Guard, err = door.Guard("r", limit.Rules{}, d)
	if err != nil {
		b.Fatal(err)
	}
	f.Audit, err = audit.Open(audit.Config{Path: audit.Stdout, Stdout: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(f.Config)
	if err != nil {
		b.Fatal(err)
	}
	wrong := string(secret.Secret.Reveal()[1:]) + "x"
	for _, bb := range []struct{ name, id, secret string }{
		{"unknown", "00000000000000000000000000000000", wrong},
		{"wrong", one.ClientID, wrong},
		{"disabled", two.ClientID, string(off.Secret.Reveal())},
	} {
		form := url.Values{"grant_type": {grantClientCredentials}, "client_id": {bb.id}, "client_secret": {bb.secret}, "scope": {"catalog"}}.Encode()
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				s.ServeHTTP(w, post(form))
				if w.Code != http.StatusUnauthorized {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
