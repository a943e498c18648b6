package connection

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/sdk/egress"
)

// Limits of the one request of a test.
const (
	trialLimit = 5 * time.Second
	trialBytes = 64 << 10
)

// Trial is what came of a test. It holds no secret.
type Trial struct {
	Credentials VendTrial    `json:"credentials"`
	Remote      *RemoteTrial `json:"remote,omitempty"` // none without a web address
}

// VendTrial says whether there are credentials, and which properties they have.
type VendTrial struct {
	OK         bool       `json:"ok"`
	Properties []string   `json:"properties,omitempty"` // names
	ExpiresAt  *time.Time `json:"expiresAt,omitempty"`
	AuditID    string     `json:"auditId,omitempty"`
	Code       string     `json:"code,omitempty"`
	Message    string     `json:"message,omitempty"`
}

// RemoteTrial says whether the remote system answers at all. It is asked without credentials, so a 401 or a 403 is as good
// as a 200.
type RemoteTrial struct {
	OK      bool   `json:"ok"`
	URI     string `json:"uri"`
	Status  int    `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
}

// Test asks the vendor for credentials, and the remote system once for anything. The error is that of whoever may not test,
// or of a connection that is not there; all else stands in the answer.
func (s *Service) Test(ctx context.Context, a Actor, name string) (Trial, error) {
	e := s.event(a, audit.ConnectionTest, name)
	if err := s.may(a, s.c.ManageRoles); err != nil {
		return Trial{}, s.refuse(ctx, e, err)
	}
	d, err := s.c.Store.GetConnection(ctx, s.c.Realm, name)
	if err != nil {
		return Trial{}, err
	}
	before := e
	before.Outcome = audit.Attempted
	if err := s.c.Audit.Record(ctx, before); err != nil {
		return Trial{}, err
	}
	var out Trial
	got, err := s.vend(ctx, a, d, CredentialsRequest{})
	e.Outcome, e.AuditID = audit.Done, got.AuditID
	out.Credentials = VendTrial{OK: err == nil, Properties: slices.Sorted(maps.Keys(got.Properties)), AuditID: got.AuditID}
	if !got.Expires.IsZero() {
		utc := got.Expires.UTC()
		out.Credentials.ExpiresAt = &utc
	}
	if err != nil {
		f := faultOf(err)
		out.Credentials.Code, out.Credentials.Message = f.Code, f.Message
		if f.cause != nil && a.Operator {
			out.Credentials.Message += ": " + f.cause.Error()
		}
		e.Outcome, e.Reason, e.Detail = audit.Failed, f.Code, f.Message
	}
	out.Remote = s.ask(ctx, d.URI)
	if err := s.c.Audit.Record(ctx, e); err != nil {
		return Trial{}, err
	}
	return out, nil
}

// ask makes one bounded request, whose body nobody sees.
func (s *Service) ask(ctx context.Context, uri string) *RemoteTrial {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil
	}
	out := &RemoteTrial{URI: uri}
	if err := s.c.Deny.CheckURL(u); err != nil {
		out.Message = err.Error()
		return out
	}
	client := egress.NewClient(egress.Options{Deny: s.c.Deny, Timeout: trialLimit})
	defer client.CloseIdleConnections()
	client.Transport.(*http.Transport).DialContext = s.c.Dial
	ctx, cancel := context.WithTimeout(ctx, trialLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		out.Message = "the URI cannot be asked"
		return out
	}
	answer, err := client.Do(r)
	if err != nil {
		out.Message = failure(err)
		return out
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.CopyN(io.Discard, answer.Body, trialBytes) // so that a short one ends well
	out.OK, out.Status = answer.StatusCode < 500, answer.StatusCode
	switch {
	case answer.StatusCode >= 500:
		out.Message = "the remote system answers that it is at fault"
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		out.Message = "a redirect, which was not followed"
	}
	return out
}

// failure says in our own words what went wrong on the way.
func failure(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(err, egress.ErrRefused):
		return "the host leads to an address that is refused (deny_addresses)"
	case errors.As(err, &dns):
		return "the host cannot be resolved"
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		return "no answer in time"
	case strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: "):
		return "no TLS connection can be made: the certificate is not trusted, or the other side speaks no TLS"
	case errors.As(err, &op) && op.Op == "dial":
		return "no connection can be made"
	}
	return "no HTTP answer"
}
