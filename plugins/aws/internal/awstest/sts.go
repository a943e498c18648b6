package awstest

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
)

// STS answers AssumeRole to whoever signs with one of its keys, until it is told to do otherwise.
type STS struct {
	URL string

	keys Keys

	mu     sync.Mutex
	asked  []url.Values
	answer func(w http.ResponseWriter, form url.Values, n int)
}

// NewSTS serves until the test ends.
func NewSTS(t testing.TB, keys Keys) *STS {
	t.Helper()
	s := &STS{keys: keys}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Do has questions answered by f; n counts them from 1. nil: well again.
func (s *STS) Do(f func(w http.ResponseWriter, form url.Values, n int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

// Asked gives the questions so far.
func (s *STS) Asked() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]url.Values(nil), s.asked...)
}

// ServeHTTP is http.Handler's.
func (s *STS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		Fail(w, 400, "MalformedQueryString")
		return
	}
	region := "us-east-1"
	if parts := strings.Split(r.Header.Get("Authorization"), "/"); len(parts) > 2 {
		region = parts[2] // any will do
	}
	if _, err := (Verifier{Keys: s.keys, Region: region, Service: "sts"}).Verify(r, body); err != nil {
		Fail(w, 403, "SignatureDoesNotMatch")
		return
	}
	s.mu.Lock()
	s.asked = append(s.asked, form)
	n, answer := len(s.asked), s.answer
	s.mu.Unlock()
	if answer == nil {
		answer = Good
	}
	answer(w, form, n)
}

// Good answers as STS does.
func Good(w http.ResponseWriter, form url.Values, n int) {
	var seconds int
	_, _ = fmt.Sscan(form.Get("DurationSeconds"), &seconds)
	Session{ARN: form.Get("RoleArn"), Name: form.Get("RoleSessionName"), Expires: time.Now().Add(time.Duration(seconds) * time.Second), N: n}.Write(w)
}

// Session is what an answer says.
type Session struct {
	ARN, Name string // of the role, which becomes that of the session
	Expires   time.Time
	N         int
	NoKeys    bool
	NoToken   bool
}

// Write answers.
func (s Session) Write(w http.ResponseWriter) {
	parts := strings.Split(s.ARN, ":")
	account, role := "", ""
	if len(parts) == 6 {
		account, role = parts[4], parts[5][strings.LastIndex(parts[5], "/")+1:]
	}
	keys := fmt.Sprintf("<AccessKeyId>ASIASESSION%08d</AccessKeyId><SecretAccessKey>secret-%d</SecretAccessKey>", s.N, s.N)
	if !s.NoToken {
		keys += fmt.Sprintf("<SessionToken>token-%d</SessionToken>", s.N)
	}
	if s.NoKeys {
		keys = "<AccessKeyId></AccessKeyId><SecretAccessKey></SecretAccessKey><SessionToken></SessionToken>"
	}
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:%s</AssumedRoleId><Arn>arn:aws:sts::%s:assumed-role/%s/%s</Arn></AssumedRoleUser>
<Credentials>%s<Expiration>%s</Expiration></Credentials>
</AssumeRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>`,
		s.Name, account, role, s.Name, keys, s.Expires.UTC().Format(time.RFC3339))
}

// Fail answers with an error.
func Fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code>`+
		`<Message>reflected text</Message></Error><RequestId>1</RequestId></ErrorResponse>`, code)
}
