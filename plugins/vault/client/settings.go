package client

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/openbao/openbao/api/v2"

	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/breaker"
	"github.com/realmgate/realmgate/sdk/egress"
)

// Server says where and how to reach a server: the settings of every part that asks one.
type Server struct {
	Address    string       `json:"address" doc:"URL of the server, e.g. https://vault.example.com:8200; https unless the host is loopback. Variables such as VAULT_ADDR are not looked at"`
	Further    []string     `json:"further_addresses,omitempty" doc:"URLs of other nodes of the same cluster. The node that answered last is asked first; a redirect is followed to one of these addresses only"`
	Namespace  string       `json:"namespace,omitempty" doc:"namespace of everything that is asked, the login too"`
	CAFile     string       `json:"ca_file,omitempty" doc:"PEM file of the certificate authorities to trust, instead of the system's"`
	CAPEM      string       `json:"ca_pem,omitempty" doc:"the same in place, instead of ca_file"`
	ServerName string       `json:"tls_server_name,omitempty" doc:"name that the server's certificate must have, if not the host of the address"`
	CertFile   string       `json:"client_cert_file,omitempty" doc:"PEM file of the client certificate with its chain, for mutual TLS and for the login cert; read again when it changes"`
	KeyFile    string       `json:"client_key_file,omitempty" doc:"PEM file of its private key, not accessible to others"`
	Timeout    sdk.Duration `json:"timeout" default:"PT5S" doc:"how long a question may take with all its repetitions, between PT0.1S and PT30S"`
	Retries    int          `json:"max_retries" default:"2" doc:"how often a question is repeated, with growing pauses, after no answer or one of 5xx, 429 or 412; at most 10"`
	// Deny is a pointer to tell an empty list, which turns it off, from none.
	Deny *[]string `json:"deny_addresses,omitempty" doc:"addresses and prefixes that are not connected to, whatever a name resolves to; without it, link-local ones and those of the clouds' metadata services. [] allows all"`
}

const (
	minTimeout   = 100 * time.Millisecond
	maxTimeout   = 30 * time.Second
	maxRetries   = 10
	maxAddresses = 16
)

// New checks the settings and builds the client. Faults name the key. Nobody is asked yet. The context is that of a constructor.
func New(ctx context.Context, s Server) (*Client, error) {
	var faults []error
	fault := func(err error, at ...any) { faults = append(faults, sdk.At(err, at...)) }
	deny := egress.Default()
	if s.Deny != nil {
		var err error
		deny, err = egress.Parse(*s.Deny)
		fault(err, "deny_addresses")
	}
	urls := make([]*url.URL, 0, 1+len(s.Further))
	for i, text := range append([]string{s.Address}, s.Further...) {
		u, err := checkAddress(text, deny)
		if i == 0 {
			fault(err, "address")
		} else {
			fault(err, "further_addresses", i-1)
		}
		urls = append(urls, u)
	}
	if len(urls) > maxAddresses {
		fault(fmt.Errorf("there are at most %d addresses", maxAddresses), "further_addresses")
	}
	if d := s.Timeout.Std(); d < minTimeout || d > maxTimeout {
		fault(errors.New("the time-out lies between PT0.1S and PT30S"), "timeout")
	}
	if s.Retries < 0 || s.Retries > maxRetries {
		fault(fmt.Errorf("there are at most %d repetitions", maxRetries), "max_retries")
	}
	roots, err := s.authorities()
	fault(err, "ca_file")
	own, err := s.certificate()
	fault(err, "client_cert_file")
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return build(s, urls, breaker.OutboundOf(ctx), &transports{own: own, build: func(cert *tls.Certificate) *http.Transport {
		t := egress.NewTransport(egress.Options{Deny: deny, RootCAs: roots, Timeout: s.Timeout.Std()})
		t.TLSClientConfig.ServerName = s.ServerName
		if cert != nil { // sent whatever authorities the server names: which ones it accepts is its own affair
			t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
		}
		return t
	}})
}

// part is what the breakers are counted by: all parts ask the same of a server, and share sessions.
const part = "vault"

func build(s Server, urls []*url.URL, outbound *breaker.Outbound, t *transports) (*Client, error) {
	c := &Client{timeout: s.Timeout.Std(), retries: s.Retries, transport: t}
	h := &http.Client{
		Transport:     outbound.Transport(part, egress.Bound(t, maxAnswer), egress.Theirs),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, u := range urls {
		a, err := api.NewClient(&api.Config{
			Address: u.String(), HttpClient: h, DisableEnvironment: true, DisableRedirects: true, CheckRetry: never,
		})
		if err != nil {
			return nil, sdk.At(err, "address")
		}
		if s.Namespace != "" {
			a.SetNamespace(s.Namespace)
		}
		c.nodes = append(c.nodes, node{api: a, url: u, last: &atomic.Pointer[Failure]{}})
	}
	return c, nil
}

func checkAddress(text string, deny egress.List) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("it is not a URL")
	}
	if err := deny.CheckURL(u); err != nil {
		return nil, err
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the URL must not have a query or a fragment")
	}
	if path := strings.TrimSuffix(u.Path, "/"); strings.HasSuffix(path, "/v1") {
		return nil, errors.New("the URL is without /v1, which is put in front of each path")
	}
	return u, egress.CheckSecret(u)
}

// authorities gives those of the settings; nil, for the system's, if there are none.
func (s *Server) authorities() (*x509.CertPool, error) {
	raw := []byte(s.CAPEM)
	if s.CAFile != "" {
		if s.CAPEM != "" {
			return nil, errors.New("ca_file and ca_pem exclude each other")
		}
		var err error
		if raw, err = egress.ReadCertificates(s.CAFile); err != nil {
			return nil, err
		}
	}
	if len(raw) == 0 {
		return nil, nil
	}
	return egress.OnlyAuthorities(raw)
}

// Fingerprint tells apart what the settings name but do not have in them: the certificates of ca_file.
func (s *Server) Fingerprint() ([]byte, error) {
	if s.CAFile == "" {
		return nil, nil
	}
	raw, err := egress.ReadCertificates(s.CAFile)
	sum := sha256.Sum256(raw)
	return sum[:], err
}
