package egress

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestTheirs: what depends on how a client is set up is no fault of the server's.
func TestTheirs(t *testing.T) {
	t.Parallel()
	long := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 100)) }))
	defer long.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	defer untrusted.Close()
	picky := httptest.NewUnstartedServer(http.NotFoundHandler())
	picky.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13}
	picky.StartTLS()
	defer picky.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + l.Addr().String()
	_ = l.Close()
	deny, err := Parse([]string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	trusting := NewClient(Options{})
	trusting.Transport = picky.Client().Transport
	bounded := NewClient(Options{})
	bounded.Transport = Bound(bounded.Transport, 10)
	for name, tt := range map[string]struct {
		client *http.Client
		url    string
		theirs bool
	}{
		"gone":                   {NewClient(Options{}), gone, true},
		"a refused address":      {NewClient(Options{Deny: deny}), long.URL, false},
		"too long":               {bounded, long.URL, false},
		"an untrusted one":       {NewClient(Options{}), untrusted.URL, false},
		"a client it knows not":  {trusting, picky.URL, false},
		"no TLS where it is due": {NewClient(Options{}), "https" + long.URL[len("http"):], true},
		"no name that there is":  {NewClient(Options{}), "http://nowhere.invalid", true},
	} {
		t.Run(name, func(t *testing.T) {
			answer, err := tt.client.Get(tt.url) //nolint:noctx // bounded by its own time-out
			if err == nil {
				_, err = ReadAll(answer.Body, 1000)
				_ = answer.Body.Close()
			}
			if err == nil || Theirs(err) != tt.theirs {
				t.Errorf("%v: %v, want %v", err, Theirs(err), tt.theirs)
			}
		})
	}
}
