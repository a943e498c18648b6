package generation_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/child"
	"github.com/realmgate/realmgate/host/directory"
	"github.com/realmgate/realmgate/host/pipeline"
	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/sdk"
)

const externalRealms = `
realm "claims" {
  tenant = "%[2]s"
  authentication {
    type = "external"
    authenticator {
      type = "claims"
    }
  }
}
realm "default" {
  tenant = "%[2]s"
  authentication {
    type = "external"
    authenticator {
      type = "default"
    }
  }
}
tenant "%[2]s" {
  identity_provider {
    type            = "oidc"
    issuer          = "%[1]s"
    audience        = ["polaris"]
    role_claim_path = "polaris/roles"
    verified_tokens {
      max_age = "%[3]s"
    }
  }
  principal_mapper {
    type            = "default"
    name_claim_path = "polaris/principal_name"
  }
  principal_roles_mapper {
    type   = "default"
    filter = "^(?!profile$|email$).*"
    mapping {
      regex       = "^.*$"
      replacement = "PRINCIPAL_ROLE:$0"
    }
  }
}
`

// BenchmarkExternal is an uncached decision on an RS256 token of 1.2 KB, asked over HTTP on kept connections by 8 and by 64
// callers, beside a handler that decides nothing: the metric "of-bare" is the ratio of what each answers in a second, "cpu-of-bare" that
// of the processor time that one answer takes, callers and plugin included, which other work on the machine changes less. "legs" is as it is
// configured without further ado, "unverified" checks each token's signature each time, and "unary" does so in a plugin without legs.
func BenchmarkExternal(b *testing.B) {
	issuer, tokens := benchIssuer(b)
	naive := catalog.Source{Name: "default", Grants: catalog.Grants{Wanted: true}, Program: child.Program{
		Path: buildtest.Command(b, "test/bench/naive", "naive"), TLS: true,
	}}
	for _, way := range []struct {
		name, maxAge string
		instead      []catalog.Source // of the bundled plugin
	}{{"legs", "5m", nil}, {"unverified", "0s", nil}, {"unary", "0s", []catalog.Source{naive}}} {
		w := newWorld(b, nil, way.instead...)
		for _, realm := range []string{"claims", "default"} {
			populate(b, w.directory, realm)
		}
		gen := w.build(b, fmt.Sprintf(externalRealms, issuer, "idp", way.maxAge))
		for _, realm := range []string{"claims", "default"} {
			plan, err := gen.Plan(realm)
			if err != nil {
				b.Fatal(err)
			}
			for _, callers := range []int{8, 64} {
				b.Run(fmt.Sprintf("%s/%s/%d", way.name, realm, callers), func(b *testing.B) {
					var bare, decided spent
					const turns = 16 // each has a share of whatever else the machine does
					for range turns {
						bare.add(answering(b, callers, b.N/turns, tokens, http.HandlerFunc(answerAllowed)))
						decided.add(answering(b, callers, b.N/turns, tokens, deciding(b, plan)))
					}
					b.ReportMetric(bare.time.Seconds()/decided.time.Seconds(), "of-bare")
					b.ReportMetric(bare.processor.Seconds()/decided.processor.Seconds(), "cpu-of-bare")
					b.ReportMetric(float64(decided.time.Nanoseconds())/float64(b.N), "ns/op")
				})
			}
		}
	}
}

// benchIssuer is a provider, and tokens of its.
func benchIssuer(b *testing.B) (url string, tokens []string) {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	b.Cleanup(srv.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": srv.URL, "jwks_uri": srv.URL + "/jwks"})
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Use: "sig"}}})
	})
	for n := range 500 {
		t := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
			"iss": srv.URL, "aud": "polaris", "sub": fmt.Sprint("subject-", n), "jti": fmt.Sprint(n), "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
			"azp": "client", "scope": "openid profile email", "session_state": strings.Repeat("0123456789", 30),
			"polaris": map[string]any{"principal_name": "alice", "roles": []string{"ops", "dev"}},
		})
		t.Header["kid"] = "k"
		text, err := t.SignedString(key)
		if err != nil {
			b.Fatal(err)
		}
		tokens = append(tokens, text)
	}
	return srv.URL, tokens
}

// populate makes the principal that the tokens name.
func populate(b *testing.B, d *directory.Directory, realm string) {
	b.Helper()
	_, _, err := d.CreatePrincipal(b.Context(), realm, directory.NewPrincipal{Name: "alice"})
	for _, role := range []string{"ops", "dev"} {
		if err == nil {
			_, err = d.CreateRole(b.Context(), realm, role, nil)
		}
		if err == nil {
			err = d.GrantRole(b.Context(), realm, "alice", role)
		}
	}
	if err != nil {
		b.Fatal(err)
	}
}

func answerAllowed(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Realmgate-Principal", "alice")
	w.Header().Set("Realmgate-Roles", "dev,ops")
	_, _ = io.WriteString(w, "{}\n")
}

// deciding answers what answerAllowed does, if the plan allows it.
func deciding(b *testing.B, plan *pipeline.Plan) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := plan.DecideAnew(r.Context(), sdk.Request{Scheme: "bearer", Token: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")})
		if d.Verdict != pipeline.Allowed || d.Principal.Name != "alice" || len(d.Roles) != 2 {
			b.Errorf("%v %v %v", d.Verdict, d.Denial, d.Err)
		}
		answerAllowed(w, r)
	})
}

// spent is what something took, and what of it this process and those that it started were at work.
type spent struct{ time, processor time.Duration }

func (s *spent) add(x spent) {
	s.time += x.time
	s.processor += x.processor
}

// processorTime is of this process and of those that it has started.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	pids := []string{"self"}
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		raw, _ := os.ReadFile(list) // a thread that has ended has none
		pids = append(pids, strings.Fields(string(raw))...)
	}
	var ticks int
	for _, pid := range pids {
		raw, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			b.Fatal(err)
		}
		f := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
		for _, at := range []int{11, 12} { // utime, stime: proc(5)
			n, err := strconv.Atoi(f[at])
			if err != nil {
				b.Fatal(err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// answering has so many callers ask a handler n times in all, and says what it took.
func answering(b *testing.B, callers, n int, tokens []string, h http.Handler) spent {
	b.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	n = max(n, 2*callers)
	var all sync.WaitGroup
	start, worked := time.Now(), processorTime(b)
	for c := range callers {
		all.Go(func() {
			conn, err := net.Dial("tcp", srv.Listener.Addr().String())
			if err != nil {
				b.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			in := bufio.NewReader(conn)
			for i := c; i < n; i += callers {
				if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", tokens[i%len(tokens)]); err != nil {
					b.Error(err)
					return
				}
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
	all.Wait()
	return spent{time.Since(start), processorTime(b) - worked}
}
