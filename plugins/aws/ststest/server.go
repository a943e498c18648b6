package ststest

import (
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

	"github.com/realmgate/realmgate/plugins/aws/internal/awstest"
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
	keys := awstest.Keys{}
	for _, c := range callers {
		keys[c.AccessKeyID] = c.Secret
	}
	q := r.URL.Query()
	date, token := r.Header.Get("X-Amz-Date"), r.Header.Get("X-Amz-Security-Token")
	credential := r.Header.Get("Authorization")
	if credential == "" {
		date, token, credential = q.Get("X-Amz-Date"), q.Get("X-Amz-Security-Token"), q.Get("X-Amz-Credential")
	}
	scope := strings.Split(credential, "/")
	if len(scope) < 5 {
		return Caller{}, "MissingAuthenticationToken"
	}
	id, err := awstest.Verifier{Keys: keys, Region: scope[2], Service: "sts"}.Verify(r, body)
	at, timeErr := time.Parse("20060102T150405Z", date)
	if err != nil || timeErr != nil || time.Since(at).Abs() > 16*time.Minute {
		return Caller{}, "SignatureDoesNotMatch"
	}
	for _, c := range callers {
		if c.AccessKeyID == id && c.SessionToken == token {
			return c, ""
		}
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
