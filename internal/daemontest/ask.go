package daemontest

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
)

// Answer is what the daemon says.
type Answer struct {
	Status int
	Header http.Header
	Text   string
	Body   map[string]any // nil if it is no JSON object
}

// Who gives the principal of a decision that allows, or else the reason; and the roles.
func (a Answer) Who() (who, roles string) {
	if a.Status != http.StatusOK {
		return a.Header.Get("Realmgate-Reason"), a.Header.Get("Realmgate-Roles")
	}
	return a.Header.Get("Realmgate-Principal"), a.Header.Get("Realmgate-Roles")
}

// Ask asks the daemon, with a bearer token unless it is empty.
func (d *Daemon) Ask(method, path, token, contentType, body string) Answer {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.URL+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatalf("daemontest: %v", err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return d.Send(r)
}

// Send sends a request, wherever it goes.
func (d *Daemon) Send(r *http.Request) Answer {
	d.t.Helper()
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		d.t.Fatalf("daemontest: %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatalf("daemontest: %v", err)
	}
	a := Answer{Status: res.StatusCode, Header: res.Header, Text: string(raw)}
	_ = json.Unmarshal(raw, &a.Body)
	return a
}

// Metrics gives what the daemon tells about itself in numbers, at the door for its operator.
func (d *Daemon) Metrics() string {
	d.t.Helper()
	c := &http.Client{Timeout: askTimeout, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(d.Dir, "admin.sock"))
	}}}
	res, err := c.Get("http://admin/metrics")
	if err != nil {
		d.t.Fatalf("daemontest: %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		d.t.Fatalf("daemontest: metrics: %d %v", res.StatusCode, err)
	}
	return string(raw)
}

// Check asks the forward-auth door of a realm about a token.
func (d *Daemon) Check(realm, token string) Answer {
	d.t.Helper()
	return d.Ask(http.MethodGet, "/realms/"+realm+"/v1/check", token, "", "")
}

// Grant asks for a token of a client of a realm.
func (d *Daemon) Grant(realm, id, secret, scope string) Answer {
	d.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "scope": {scope}}
	return d.Ask(http.MethodPost, "/realms/"+realm+"/v1/oauth/tokens", "", "application/x-www-form-urlencoded", form.Encode())
}

// Issue asks for a token of the root principal of a realm with all of its roles.
func (d *Daemon) Issue(realm string) Answer {
	d.t.Helper()
	root, ok := d.root[realm]
	if !ok {
		d.t.Fatalf("daemontest: no root credentials of realm %s", realm)
	}
	return d.Grant(realm, root.ID, root.Secret, "PRINCIPAL_ROLE:ALL")
}

// Token is a token of the root principal of a realm, which has to be there.
func (d *Daemon) Token(realm string) string {
	d.t.Helper()
	return d.TokenIn(d.Issue(realm))
}

// TokenIn gives the token in an answer of the token endpoint, which has to have one.
func (d *Daemon) TokenIn(a Answer) string {
	d.t.Helper()
	token, _ := a.Body["access_token"].(string)
	if token == "" {
		d.t.Fatalf("daemontest: no token: %d %s", a.Status, a.Text)
	}
	return token
}
