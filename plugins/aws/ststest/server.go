package ststest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/realmgate/realmgate/plugins/aws/awssig"
	"github.com/realmgate/realmgate/sdk"
)

// Caller is an identity that the server knows.
type Caller struct{ AccessKeyID, Secret, SessionToken, Account, ARN, UserID string }

// Credentials gives the caller's credentials.
func (c Caller) Credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.Secret, SessionToken: c.SessionToken}
}

// Server is a running stand-in.
type Server struct {
	*httptest.Server

	mu      sync.Mutex
	callers []Caller
	instead http.Handler // answers instead, if set
	seen    []*http.Request
	bodies  []string
}

// New starts a server that knows the callers; it ends with the test.
func New(t testing.TB, callers ...Caller) *Server {
	t.Helper()
	s := &Server{callers: callers}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// Instead has a handler answer from now on; nil: the server itself does.
func (s *Server) Instead(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instead = nil
	if h != nil {
		s.instead = h
	}
}

// Requests gives the number of requests that came.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// Last gives the last request and its body.
func (s *Server) Last() (*http.Request, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) == 0 {
		return nil, ""
	}
	return s.seen[len(s.seen)-1], s.bodies[len(s.seen)-1]
}

// ServeHTTP answers like STS.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.seen, s.bodies = append(s.seen, r), append(s.bodies, string(body))
	instead, callers := s.instead, s.callers
	s.mu.Unlock()
	if instead != nil {
		instead.ServeHTTP(w, r)
		return
	}
	form, err := url.ParseQuery(string(body))
	if r.Method == http.MethodGet {
		form, err = r.URL.Query(), nil
	}
	if err != nil || form.Get("Action") != "GetCallerIdentity" || form.Get("Version") != "2011-06-15" {
		Error(w, http.StatusBadRequest, "InvalidAction")
		return
	}
	c, code := verify(r, body, callers)
	if code != "" {
		Error(w, http.StatusForbidden, code)
		return
	}
	Answer(w, c)
}

// verify finds the caller whose secret has signed the request.
func verify(r *http.Request, body []byte, callers []Caller) (Caller, string) {
	m := &sdk.HTTPMessage{Method: r.Method, Host: r.Host, RawTarget: r.RequestURI}
	for name, values := range r.Header {
		for _, v := range values {
			m.Header = append(m.Header, sdk.Header{Name: strings.ToLower(name), Value: v})
		}
	}
	read, err := awssig.Read(m)
	if err != nil {
		return Caller{}, "IncompleteSignature"
	}
	hash := sha256.Sum256(body)
	date, token := r.Header.Get("X-Amz-Date"), r.Header.Get("X-Amz-Security-Token")
	var p awssig.Proof
	if params, ok := strings.CutPrefix(r.Header.Get("Authorization"), awssig.Algorithm+" "); ok {
		p, err = awssig.ParseAuthorization(params)
	} else if p, err = awssig.ParsePresigned(read.Query); err == nil {
		date = r.URL.Query().Get("X-Amz-Date")
		token = r.URL.Query().Get("X-Amz-Security-Token")
	}
	if err != nil {
		return Caller{}, "MissingAuthenticationToken"
	}
	at, err := awssig.ParseTime(date)
	if err != nil || time.Since(at).Abs() > 16*time.Minute || !p.Scope.FitsDay(at) || p.Scope.Service != "sts" {
		return Caller{}, "SignatureDoesNotMatch"
	}
	for _, c := range callers {
		if c.AccessKeyID != p.KeyID {
			continue
		}
		text, err := read.Canonical(p, hex.EncodeToString(hash[:]), awssig.Rules{})
		if err != nil || !p.Fits([]byte(c.Secret), at, text) || token != c.SessionToken {
			return Caller{}, "SignatureDoesNotMatch"
		}
		return c, ""
	}
	return Caller{}, "InvalidClientTokenId"
}

// Answer writes what STS says of a caller.
func Answer(w http.ResponseWriter, c Caller) {
	w.Header().Set("Content-Type", "text/xml")
	_, _ = fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Arn>%s</Arn>
    <UserId>%s</UserId>
    <Account>%s</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata>
    <RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId>
  </ResponseMetadata>
</GetCallerIdentityResponse>
`, c.ARN, c.UserID, c.Account)
}

// Error writes an error of STS.
func Error(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>Sender</Type>
    <Code>%s</Code>
    <Message>no</Message>
  </Error>
  <RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId>
</ErrorResponse>
`, code)
}
