package awsiam_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/login"
	"github.com/realmgate/realmgate/plugins/aws/ststest"
)

func says(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func answers(change func(string) string) http.HandlerFunc {
	rec := httptest.NewRecorder()
	ststest.Answer(rec, user)
	return says(200, "text/xml; charset=utf-8", change(rec.Body.String()))
}

func replace(from, to string) http.HandlerFunc {
	return answers(func(s string) string {
		if !strings.Contains(s, from) {
			panic(from)
		}
		return strings.Replace(s, from, to, 1)
	})
}

func fails(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { ststest.Error(w, status, code) }
}

// What STS, or whoever answers in its place, says. Whatever is not exactly an answer of STS makes the decision unavailable:
// neither is it believed (CVE-2020-16250), nor is it the caller's fault.
func TestAnswersOfSTS(t *testing.T) {
	t.Parallel()
	const result = "<GetCallerIdentityResult>"
	whole := func(arn string) string {
		return `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>` + arn +
			`</Arn><UserId>AIDA</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		reason string
	}{
		"good":                      {replace("", ""), ""},
		"good, as a document":       {answers(func(s string) string { return `<?xml version="1.0"?>` + s }), ""},
		"a bad signature":           {fails(403, "SignatureDoesNotMatch"), "proof_refused"},
		"an expired session":        {fails(403, "ExpiredToken"), "proof_refused"},
		"a bad request":             {fails(400, "IncompleteSignature"), "proof_refused"},
		"throttling":                {fails(400, "Throttling"), "unavailable"},
		"throttling by another":     {fails(403, "RequestLimitExceeded"), "unavailable"},
		"too many requests":         {fails(429, "Whatever"), "unavailable"},
		"a time-out over there":     {fails(408, "Whatever"), "unavailable"},
		"down":                      {fails(503, "ServiceUnavailable"), "unavailable"},
		"broken":                    {fails(500, "SignatureDoesNotMatch"), "unavailable"},
		"a redirect":                {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "unavailable"},
		"another success":           {says(201, "text/xml", whole(user.ARN)), "unavailable"},
		"no content":                {says(200, "text/xml", ""), "unavailable"},
		"HTML":                      {says(200, "text/html", "<html>"+whole(user.ARN)+"</html>"), "unavailable"},
		"HTML with a good status":   {says(403, "text/html", "<html>log in</html>"), "unavailable"},
		"HTML that says XML":        {says(403, "text/xml", "<html>log in</html>"), "unavailable"},
		"JSON with XML in it":       {says(200, "application/json", `{"x":"`+whole(user.ARN)+`"}`), "unavailable"},
		"JSON that says XML":        {says(200, "text/xml", `{"x":"`+whole(user.ARN)+`"}`), "unavailable"},
		"no content type":           {says(200, "", whole(user.ARN)), "unavailable"},
		"reflected text before":     {says(200, "text/xml", "hello "+whole(user.ARN)), "unavailable"},
		"reflected text behind":     {says(200, "text/xml", whole(user.ARN)+"hello"), "unavailable"},
		"two documents":             {says(200, "text/xml", whole(user.ARN)+whole(user.ARN)), "unavailable"},
		"huge":                      {says(200, "text/xml", whole(user.ARN)+strings.Repeat(" ", 1<<20)), "unavailable"},
		"deep":                      {says(200, "text/xml", strings.Repeat("<a>", 10_000)), "unavailable"},
		"another action":            {answers(func(s string) string { return strings.ReplaceAll(s, "GetCallerIdentityRe", "GetSessionTokenRe") }), "unavailable"},
		"another namespace":         {replace("2011-06-15", "2099-01-01"), "unavailable"},
		"no namespace":              {replace(` xmlns="https://sts.amazonaws.com/doc/2011-06-15/"`, ""), "unavailable"},
		"a namespace within":        {replace("<Arn>", `<Arn xmlns="urn:evil">`), "unavailable"},
		"a prefix":                  {replace("<Arn>", `<Arn xmlns:e="urn:evil" e:x="1">`), "unavailable"},
		"an attribute":              {replace("<Arn>", `<Arn x="1">`), "unavailable"},
		"two results":               {replace(result, result+"</GetCallerIdentityResult>"+result), "unavailable"},
		"two ARNs":                  {replace("<Arn>", "<Arn>arn:aws:iam::111122223333:user/root</Arn><Arn>"), "unavailable"},
		"one more in the result":    {replace("<Arn>", "<Other>x</Other><Arn>"), "unavailable"},
		"an element in a leaf":      {replace("<Arn>", "<Arn><x/>"), "unavailable"},
		"a comment":                 {replace("<Arn>", "<Arn><!-- x -->"), "unavailable"},
		"text beside elements":      {replace(result, result+"x"), "unavailable"},
		"a document type":           {answers(func(s string) string { return "<!DOCTYPE x>" + s }), "unavailable"},
		"an entity":                 {replace("<Arn>", "<Arn>&x;"), "unavailable"},
		"no account":                {replace("<Account>111122223333</Account>", ""), "unavailable"},
		"an account more":           {replace("<Account>111122223333", "<Account>999988887777"), "unavailable"},
		"an empty user id":          {replace("<UserId>AIDAALICE", "<UserId>"), "unavailable"},
		"no ARN of an identity":     {says(200, "text/xml", whole("arn:aws:iam::111122223333:role/deployer")), "unavailable"},
		"an ARN with an empty part": {says(200, "text/xml", whole("arn:aws:sts::111122223333:assumed-role//x")), "unavailable"},
		"a cut ARN":                 {says(200, "text/xml", whole("arn:aws:iam::111122223333")), "unavailable"},
		"an ARN with a region":      {says(200, "text/xml", whole("arn:aws:iam:us-east-1:111122223333:user/x")), "unavailable"},
		"another root": {answers(func(s string) string {
			return strings.ReplaceAll(s, "GetCallerIdentityResponse", "GetSessionTokenResponse")
		}), "unavailable"},
		"a processing instruction":  {answers(func(s string) string { return `<?xml-stylesheet href="x"?>` + s }), "unavailable"},
		"one within":                {replace("<Arn>", "<Arn><?xml version='1.0'?>"), "unavailable"},
		"an error of another":       {says(403, "text/xml", `<Fault xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Code>AccessDenied</Code></Error></Fault>`), "unavailable"},
		"an error with a sentence":  {fails(403, "the proxy says no!"), "unavailable"},
		"an error with a long code": {fails(403, strings.Repeat("x", 65)), "unavailable"},
		"an error that is a code":   {fails(403, "<Code>x</Code>"), "unavailable"},
		"a closed connection":       {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "unavailable"},
		"an endless header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
			ststest.Answer(w, user)
		}, "unavailable"},
	} {
		s := ststest.New(t, user)
		s.Config.ErrorLog = nil
		s.Instead(tt.answer)
		x := newTenant(t, s.URL, nil)
		x.want(t, name, sign(t, user, login.FormK8s, s.URL, x.now()), tt.reason)
		if n := s.Requests(); n != 1 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
}

// An answer that takes too long is given up, one that failed is not remembered, and what is known goes on meanwhile.
func TestSTSIsSlowOrDown(t *testing.T) {
	t.Parallel()
	s := ststest.New(t, user, role)
	x := newTenant(t, s.URL, map[string]any{"timeout": "100ms"})
	known := sign(t, role, login.FormK8s, s.URL, x.now())
	x.want(t, "known", known, "")
	done := make(chan struct{})
	s.Instead(func(http.ResponseWriter, *http.Request) { <-done })
	token := sign(t, user, login.FormVault, s.URL, x.now())
	x.want(t, "slow", token, "unavailable")
	close(done)
	x.want(t, "known, while it is down", known, "")
	s.Instead(nil)
	x.want(t, "well again", token, "")
	s.Close()
	x.want(t, "down", sign(t, user, login.FormK8s, s.URL, x.now().Add(-time.Second)), "unavailable")
}

// An endpoint of one partition cannot speak for another.
func TestPartitionOfAnother(t *testing.T) {
	t.Parallel()
	x, _ := newAWS(t, nil)
	x.SetTransport(roundTrip(func(*http.Request) (*http.Response, error) {
		rec := httptest.NewRecorder()
		gov := user
		gov.ARN = strings.Replace(gov.ARN, "arn:aws:", "arn:aws-us-gov:", 1)
		ststest.Answer(rec, gov)
		return rec.Result(), nil
	}))
	x.want(t, "another partition", signFor(t, login.Options{Region: "eu-west-1"}, x.now()), "unavailable")
}
