package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk/egress"
)

// NewRemoteClient gives a client for what a daemon offers over HTTP, to callers with a bearer token: the connections of its
// realms. Of the methods only those about connections work. base is the daemon's public URL; it has to be https, except on
// this machine itself. token is asked before each request, so that it may change.
func NewRemoteClient(base string, token func() (string, error)) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the URL is not that of a daemon, e.g. https://auth.example.com")
	}
	if err := egress.CheckSecret(u); err != nil {
		return nil, fmt.Errorf("the URL: a token is sent there, so %w", err)
	}
	t := egress.NewTransport(egress.Options{Deny: egress.AllowAll(), EnvironmentProxy: true}) // the user has chosen the address
	t.MaxIdleConnsPerHost = maxIdle
	return &Client{at: "the daemon at " + u.String(), http: &http.Client{
		Transport: &remote{base: strings.TrimSuffix(u.String(), "/"), token: token, next: t}, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// remote turns a request to the admin socket into one to the HTTP interface.
type remote struct {
	base  string
	token func() (string, error)
	next  *http.Transport
}

// RoundTrip is http.RoundTripper's.
func (r *remote) RoundTrip(in *http.Request) (*http.Response, error) {
	refuse := func(err error) (*http.Response, error) {
		if in.Body != nil {
			_ = in.Body.Close()
		}
		return nil, err
	}
	realm, rest, ok := strings.Cut(strings.TrimPrefix(in.URL.EscapedPath(), "/v1/realms/"), "/")
	if noun, _, _ := strings.Cut(rest, "/"); !ok || noun != connections {
		return refuse(errors.New("over HTTP a daemon offers connections only; the rest needs its admin socket"))
	}
	to, err := url.Parse(r.base + "/realms/" + realm + "/v1/" + rest)
	if err != nil {
		return refuse(err)
	}
	token, err := r.token()
	if err != nil {
		return refuse(err)
	}
	out := in.Clone(in.Context())
	to.RawQuery = in.URL.RawQuery
	out.URL, out.Host = to, ""
	out.Header.Set("Authorization", "Bearer "+token)
	return r.next.RoundTrip(out)
}

// CloseIdleConnections is for http.Client.
func (r *remote) CloseIdleConnections() { r.next.CloseIdleConnections() }
