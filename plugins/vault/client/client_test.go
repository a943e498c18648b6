package client

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// fake is a server that shows faults which a real one cannot be made to show.
type fake struct {
	*httptest.Server
	asked atomic.Int64
}

func newFake(t *testing.T, h http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		h(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func fail(status int, words string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{words}})
	}
}

func page(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

// alien is an answer of something in between.
func alien(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, `{"message":"hunter2"}`)
	}
}

func good(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, `{"request_id":"r","data":{"x":"1"}}`)
}

func newClient(t *testing.T, settings string, urls ...string) *Client {
	t.Helper()
	var s Server
	all, _ := json.Marshal(urls[1:])
	if err := sdk.Decode([]byte(`{"address":"`+urls[0]+`","further_addresses":`+string(all)+settings+`}`), &s); err != nil {
		t.Fatal(err)
	}
	c, err := New(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func get() Request { return Request{Method: http.MethodGet, Path: "kv/x", Token: "t"} }

func closedURL() string {
	s := httptest.NewServer(nil)
	defer s.Close()
	return s.URL
}

func TestFailOver(t *testing.T) {
	t.Parallel()
	up := newFake(t, good)
	sealed := newFake(t, fail(http.StatusServiceUnavailable, "Vault is sealed"))
	c := newClient(t, "", closedURL(), sealed.URL, up.URL)
	for range 3 {
		if out, err := c.Do(t.Context(), get()); err != nil || out.Data["x"] != "1" {
			t.Fatal(out, err)
		}
	}
	if sealed.asked.Load() != 1 || up.asked.Load() != 3 {
		t.Errorf("%d questions to the sealed node, %d to the other; the one that answered is asked first", sealed.asked.Load(), up.asked.Load())
	}
	up.Close()
	_, err := c.Do(t.Context(), get())
	if f := As(err); f == nil || f.Denied() {
		t.Errorf("with no node left: %v", err)
	}
}

func TestANodeThatHangsLeavesTimeForAnother(t *testing.T) {
	t.Parallel()
	stuck := newFake(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	up := newFake(t, good)
	c := newClient(t, `,"timeout":"PT1S"`, stuck.URL, up.URL)
	if out, err := c.Do(t.Context(), get()); err != nil || out.Data["x"] != "1" {
		t.Error(out, err)
	}
	half := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		page(`{"request_id":"r",`)(w, r)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	for what, f := range map[string]*fake{"nothing": stuck, "half an answer": half} {
		alone := newClient(t, `,"timeout":"PT0.2S"`, f.URL)
		if _, err := alone.Do(t.Context(), get()); err == nil || err.Error() != "the server does not answer in time" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestRepetitions(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		answer http.HandlerFunc
		once   bool
		asked  int64
		want   string
	}{
		"sealed":                    {fail(503, "Vault is sealed"), false, 3, "the server is sealed (status 503)"},
		"sealed, once":              {fail(503, "Vault is sealed"), true, 3, "the server is sealed (status 503)"},
		"a standby alone":           {fail(500, "local node not active but active cluster node not found"), true, 3, "the node is a standby that finds no active one (status 500)"},
		"not initialised":           {fail(501, ""), false, 3, "the server is not initialised (status 501)"},
		"a secondary for disasters": {fail(400, "path disabled in replication DR secondary mode"), true, 3, "the server answers 400: path disabled in replication DR secondary mode"},
		"a secondary's status":      {fail(472, ""), true, 3, "the server answers 472"},
		"a standby's status":        {fail(473, ""), true, 3, "the server answers 473"},
		"a gateway's 503":           {alien(503), false, 3, "the server answers 503"},
		"a gateway's 503, once":     {alien(503), true, 1, "the server answers 503"},
		"a gateway's 429, once":     {alien(429), true, 1, "the server answers 429"},
		"a gateway's 501, once":     {alien(501), true, 1, "the server is not initialised"},
		"a gateway's 472, once":     {alien(472), true, 1, "something between here and the server answers 472"},
		"an error":                  {fail(500, "secret hunter2 broke"), false, 3, "the server answers 500; its own log may say why"},
		"an error, once":            {fail(500, "x"), true, 1, "the server answers 500; its own log may say why"},
		"too many":                  {fail(429, "request path x: rate limit quota exceeded"), true, 3, "the server answers 429: rate limit quota exceeded"},
		"not yet there":             {fail(412, "required index state not present"), false, 3, "the server answers 412: required index state not present"},
		"denied":                    {fail(403, "1 error occurred:\n\t* permission denied\n\n"), false, 1, "the server answers 403: permission denied"},
		"no token":                  {fail(403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"), false, 1, "the server answers 403: invalid token"},
		"wrong":                     {fail(400, "hunter2 is not a number"), false, 1, "the server answers 400; its own log may say why"},
		"denied by another": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(403)
			fmt.Fprint(w, "<h1>permission denied: hunter2</h1>")
		}, false, 3, "something between here and the server answers 403"},
		"denied by a gateway": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(403)
			fmt.Fprint(w, `{"message":"invalid token"}`)
		}, false, 3, "something between here and the server answers 403"},
		"absent for another":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); fmt.Fprint(w, "404 page not found") }, false, 3, "something between here and the server answers 404"},
		"absent at a gateway":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); fmt.Fprint(w, `{"message":"no"}`) }, true, 1, "something between here and the server answers 404"},
		"absent":               {fail(404, ""), false, 1, "the server answers 404: there is nothing at this path"},
		"no answer of a Vault": {page("<html>hunter2"), false, 3, "something between here and the server answers 200"},
		"a page in JSON":       {page(`{"status":"hunter2"}`), false, 3, "something between here and the server answers 200"},
		"a page with data":     {page(`{"data":{"x":"hunter2"}}`), true, 1, "something between here and the server answers 200"},
		"an object of nothing": {page(`{}`), false, 3, "something between here and the server answers 200"},
		"nothing in JSON":      {page(`null`), true, 1, "something between here and the server answers 200"},
		"an empty page":        {page(``), true, 1, "something between here and the server answers 200"},
		"half an answer":       {page(`{"request_id":"r","data":{"x":`), false, 3, "something between here and the server answers 200"},
		"hung up":              {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true, 1, "the server cannot be reached: EOF"},
		"too long": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"request_id":"r","data":{"x":%q}}`, strings.Repeat("x", maxAnswer))
		}, true, 1, "of more than 2097152 bytes"},
		"a redirect elsewhere": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:1/v1/kv/x")
			w.WriteHeader(307)
		}, false, 1, "redirects to a host that is not among the addresses"},
		"a redirect to nowhere":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(307) }, false, 1, "redirects to a host"},
		"a page of another world": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502); fmt.Fprint(w, "hunter2") }, false, 3, "the server answers 502"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, x.answer)
			r := get()
			r.Once = x.once
			_, err := newClient(t, "", f.URL).Do(t.Context(), r)
			if err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "hunter2") || As(err) == nil {
				t.Errorf("%v, want %q", err, x.want)
			}
			if strings.HasPrefix(x.want, "something") && (Denied(err) || As(err).TokenInvalid() || Status(err) != 0) {
				t.Error("it is taken for the server's own")
			}
			if f.asked.Load() != x.asked {
				t.Errorf("asked %d times, want %d", f.asked.Load(), x.asked)
			}
		})
	}
}

func TestRecoveryWhileRepeating(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	f := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) < 3 {
			fail(503, "Vault is sealed")(w, r)
			return
		}
		good(w, r)
	})
	if out, err := newClient(t, "", f.URL).Do(t.Context(), get()); err != nil || out.Data["x"] != "1" {
		t.Error(out, err)
	}
}

// The time that a server wants is given, or the question is given up: nobody is asked again too soon.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "60")
		fail(429, "rate limit quota exceeded")(w, r)
	})
	began := time.Now()
	if _, err := newClient(t, "", f.URL).Do(t.Context(), get()); err == nil || f.asked.Load() != 1 || time.Since(began) > 4*time.Second {
		t.Errorf("asked %d times in %v: %v", f.asked.Load(), time.Since(began), err)
	}
}

func TestRedirectToAnotherNode(t *testing.T) {
	t.Parallel()
	active := newFake(t, good)
	standby := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, active.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	c := newClient(t, "", standby.URL, active.URL)
	for range 2 {
		if out, err := c.Do(t.Context(), get()); err != nil || out.Data["x"] != "1" {
			t.Fatal(out, err)
		}
	}
	if standby.asked.Load() != 1 {
		t.Errorf("the standby was asked %d times", standby.asked.Load())
	}
}

// Nodes that redirect to each other choose an active one just now: they are asked again, with pauses.
func TestRedirectsInACircle(t *testing.T) {
	t.Parallel()
	for chosen, want := range map[int64]string{5: "", 1000: "the server redirects in a circle: each node says that another one is active"} {
		var n atomic.Int64
		var a, b *fake
		to := func(other **fake) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) >= chosen {
					good(w, r)
					return
				}
				http.Redirect(w, r, (*other).URL+r.URL.Path, http.StatusTemporaryRedirect)
			}
		}
		a, b = newFake(t, to(&b)), newFake(t, to(&a))
		r := get()
		r.Once = true // who redirects has done nothing
		_, err := newClient(t, "", a.URL, b.URL).Do(t.Context(), r)
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) || n.Load() > 6 {
			t.Errorf("%v after %d questions, want %q", err, n.Load(), want)
		}
	}
}

// A chain of them is followed: who was active a moment ago says who is now.
func TestRedirectsInAChain(t *testing.T) {
	t.Parallel()
	last := newFake(t, good)
	to := func(other *fake) *fake {
		return newFake(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
		})
	}
	middle := to(last)
	first := to(middle)
	if out, err := newClient(t, `,"max_retries":0`, first.URL, middle.URL, last.URL).Do(t.Context(), get()); err != nil || out.Data["x"] != "1" || first.asked.Load() != 1 {
		t.Errorf("%v %v, the first was asked %d times", out, err, first.asked.Load())
	}
}

// What is asked once is not repeated where it may have been taken up, but the next question goes to the next node.
func TestFailOverOfWhatIsAskedOnce(t *testing.T) {
	t.Parallel()
	once := get()
	once.Once = true
	for what, first := range map[string]http.HandlerFunc{
		"an error":      fail(500, "x"),
		"a proxy's no":  alien(502),
		"hung up":       func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"out of time":   func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"not its own":   alien(503),
		"another world": alien(403),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			bad, up := newFake(t, first), newFake(t, good)
			c := newClient(t, `,"timeout":"PT1S"`, bad.URL, up.URL)
			if _, err := c.Do(t.Context(), once); err == nil || up.asked.Load() != 0 {
				t.Errorf("it was repeated: %v", err)
			}
			if out, err := c.Do(t.Context(), once); err != nil || out.Data["x"] != "1" || bad.asked.Load() != 1 {
				t.Errorf("%v %v, %d questions to the one that fails", out, err, bad.asked.Load())
			}
		})
	}
	// A caller who leaves says nothing of the node.
	entered := make(chan struct{})
	slow := newFake(t, func(_ http.ResponseWriter, r *http.Request) { close(entered); <-r.Context().Done() })
	c := newClient(t, "", slow.URL, newFake(t, good).URL)
	ctx, leave := context.WithCancel(t.Context())
	go func() { <-entered; leave() }()
	if _, err := c.Do(ctx, once); err == nil || c.first.Load() != 0 {
		t.Errorf("%v, the node asked first is %d", err, c.first.Load())
	}
}

// Where no connection came about nothing was sent, whatever was in the way.
func TestWhatWasNotSentIsRepeated(t *testing.T) {
	t.Parallel()
	tls := httptest.NewUnstartedServer(http.HandlerFunc(good))
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	t.Cleanup(tls.Close)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	once := get()
	once.Once = true
	for what, address := range map[string]string{
		"nobody listens":                   closedURL(),
		"a certificate of somebody else":   tls.URL,
		"no TLS where it is expected":      strings.Replace(newFake(t, good).URL, "http:", "https:", 1),
		"a handshake that comes to no end": "https://" + silent.Addr().String(),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			up := newFake(t, good)
			c := newClient(t, `,"timeout":"PT2S"`, address, up.URL)
			if out, err := c.Do(t.Context(), once); err != nil || out.Data["x"] != "1" {
				t.Errorf("%v %v", out, err)
			}
		})
	}
}

func TestEmptyAnswer(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	if out, err := newClient(t, "", f.URL).Do(t.Context(), get()); out != nil || err != nil || f.asked.Load() != 1 {
		t.Errorf("%v %v", out, err)
	}
}

// What is asked is said by the settings alone.
func TestEnvironmentIsNotRead(t *testing.T) {
	for _, prefix := range []string{"VAULT_", "BAO_"} {
		t.Setenv(prefix+"ADDR", "http://127.0.0.1:1")
		t.Setenv(prefix+"TOKEN", "hunter2")
		t.Setenv(prefix+"NAMESPACE", "other")
		t.Setenv(prefix+"WRAP_TTL", "60")
		t.Setenv(prefix+"MAX_RETRIES", "9")
		t.Setenv(prefix+"SKIP_VERIFY", "true")
		t.Setenv(prefix+"PROXY_ADDR", "http://127.0.0.1:1")
	}
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	var header http.Header
	f := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		good(w, r)
	})
	r := get()
	r.Token = ""
	if _, err := newClient(t, `,"namespace":"team"`, f.URL).Do(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if header.Get("X-Vault-Token") != "" || header.Get("X-Vault-Namespace") != "team" || header.Get("X-Vault-Wrap-Ttl") != "" {
		t.Errorf("%v", header)
	}
	if _, err := newClient(t, "", f.URL).Do(t.Context(), get()); err != nil || header.Get("X-Vault-Namespace") != "" || header.Get("X-Vault-Token") != "t" {
		t.Errorf("%v %v", header, err)
	}
}

// newTLS gives a server and, in JSON, the certificate of its authority.
func newTLS(t *testing.T) (s *httptest.Server, ca string) {
	t.Helper()
	s = httptest.NewUnstartedServer(http.HandlerFunc(good))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	quoted, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	if err != nil {
		t.Fatal(err)
	}
	return s, string(quoted)
}

func TestCertificatesOfOthers(t *testing.T) {
	t.Parallel()
	s, quoted := newTLS(t)
	if out, err := newClient(t, `,"ca_pem":`+quoted, s.URL).Do(t.Context(), get()); err != nil || out.Data["x"] != "1" {
		t.Error(out, err)
	}
	if _, err := newClient(t, "", s.URL).Do(t.Context(), get()); err == nil || !strings.Contains(err.Error(), "certificate signed by unknown authority") {
		t.Errorf("the system's authorities: %v", err)
	}
	if _, err := newClient(t, `,"tls_server_name":"vault.test","ca_pem":`+quoted, s.URL).Do(t.Context(), get()); err == nil || !strings.Contains(err.Error(), "not vault.test") {
		t.Errorf("another name: %v", err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		`{"address":"https://vault.example.com:8200"}`:                                                             "",
		`{"address":"http://127.0.0.1:8200","further_addresses":["https://b.example.com"]}`:                        "",
		`{"address":"http://vault.example.com"}`:                                                                   "/address",
		`{"address":"https://u:p@vault.example.com"}`:                                                              "/address",
		`{"address":"https://169.254.169.254"}`:                                                                    "/address",
		`{"address":"https://vault.example.com?x"}`:                                                                "/address",
		`{"address":"https://vault.example.com/v1"}`:                                                               "/address",
		`{"address":"https://example.com/vault/v1/"}`:                                                              "/address",
		`{"address":"https://example.com/vault"}`:                                                                  "",
		`{"address":"unix:///run/vault.sock"}`:                                                                     "/address",
		`{"address":"https://a.example.com","further_addresses":["https://b.example.com","http://c.example.com"]}`: "/further_addresses/1",
		`{"address":"https://a.example.com","timeout":"PT1M"}`:                                                     "/timeout",
		`{"address":"https://a.example.com","max_retries":11}`:                                                     "/max_retries",
		`{"address":"https://a.example.com","ca_file":"/none"}`:                                                    "/ca_file",
		`{"address":"https://a.example.com","ca_pem":"x"}`:                                                         "/ca_file",
		`{"address":"https://a.example.com","client_cert_file":"/none"}`:                                           "/client_cert_file",
		`{"address":"https://a.example.com","client_cert_file":"/none","client_key_file":"/none"}`:                 "/client_cert_file",
		`{"address":"https://a.example.com","deny_addresses":["x"]}`:                                               "/deny_addresses",
	} {
		var s Server
		if err := sdk.Decode([]byte(settings), &s); err != nil {
			t.Fatal(err)
		}
		_, err := New(t.Context(), s)
		problems := sdk.Problems(err)
		if want == "" && err != nil || want != "" && (len(problems) != 1 || !strings.HasPrefix(problems[0].Path, want)) {
			t.Errorf("%s: %v, want a fault at %q", settings, err, want)
		}
	}
}
