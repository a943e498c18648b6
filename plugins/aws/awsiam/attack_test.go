package awsiam_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/awsiam"
	"github.com/realmgate/realmgate/plugins/aws/login"
	"github.com/realmgate/realmgate/plugins/aws/ststest"
)

// aws is a tenant that asks the STS of AWS; whatever it sends is counted, and does not leave.
func newAWS(t *testing.T, change map[string]any) (*tenant, *[]string) {
	t.Helper()
	x := newTenant(t, "", change)
	sent := &[]string{}
	x.SetTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
		*sent = append(*sent, r.Method+" "+r.URL.Scheme+"://"+r.URL.Host+" "+r.Host)
		return nil, errors.New("nothing leaves this test")
	}))
	return x, sent
}

// Every presigned URL that differs from a good one in a single thing is denied for that, and STS is not asked.
func TestPresignedAttacks(t *testing.T) {
	t.Parallel()
	x, sent := newAWS(t, nil)
	now := x.now()
	good := unwrap(t, signFor(t, login.Options{Region: "eu-west-1"}, now))
	const host = "https://sts.eu-west-1.amazonaws.com/"
	change := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("%s is not in %s", from, good)
		}
		return strings.Replace(good, from, to, 1)
	}
	at := func(d time.Duration) string {
		return unwrap(t, signFor(t, login.Options{Region: "eu-west-1"}, now.Add(d)))
	}
	query := strings.TrimPrefix(good, host)
	for name, tt := range map[string]struct{ url, reason string }{
		"a host behind":            {change(".com/", ".com.evil.example/"), "endpoint_not_allowed"},
		"a host before":            {change("sts.eu", "evil.sts.eu"), "endpoint_not_allowed"},
		"a user":                   {change("https://", "https://x@"), "endpoint_not_allowed"},
		"a user that looks like":   {change(".com/", ".com@evil.example/"), "endpoint_not_allowed"},
		"a port":                   {change(".com/", ".com:443/"), "endpoint_not_allowed"},
		"a dot at the end":         {change(".com/", ".com./"), "endpoint_not_allowed"},
		"upper case":               {change("sts.eu", "STS.eu"), "endpoint_not_allowed"},
		"another alphabet":         {change("sts.eu", "ѕts.eu"), "endpoint_not_allowed"},
		"an escape in the host":    {change("sts.eu", "%73ts.eu"), "endpoint_not_allowed"},
		"a backslash":              {change(".com/", `.com\@evil.example/`), "endpoint_not_allowed"},
		"white space":              {" " + good, "endpoint_not_allowed"},
		"plain http":               {change("https://", "http://"), "endpoint_not_allowed"},
		"another scheme's case":    {change("https://", "HTTPS://"), "endpoint_not_allowed"},
		"a bucket":                 {change("eu-west-1.amazonaws", "s3.amazonaws"), "endpoint_not_allowed"},
		"another service":          {change("https://sts", "https://iam"), "endpoint_not_allowed"},
		"another partition":        {change("eu-west-1.amazonaws.com", "us-gov-west-1.amazonaws.com"), "endpoint_not_allowed"},
		"no host":                  {"https:///" + query, "endpoint_not_allowed"},
		"metadata":                 {change("sts.eu-west-1.amazonaws.com", "169.254.169.254"), "endpoint_not_allowed"},
		"a path":                   {change(".com/?", ".com/x?"), "token_malformed"},
		"a doubled slash":          {change(".com/?", ".com//?"), "token_malformed"},
		"dots":                     {change(".com/?", ".com/..?"), "token_malformed"},
		"a fragment":               {good + "#x", "token_malformed"},
		"a fragment in between":    {change("&Version", "#&Version"), "token_malformed"},
		"no query":                 {host, "token_malformed"},
		"a line break":             {change("&Version", "\n&Version"), "token_malformed"},
		"a space":                  {change("&Version", " &Version"), "token_malformed"},
		"another action":           {change("Action=GetCallerIdentity", "Action=AssumeRole"), "action_not_allowed"},
		"an action's case":         {change("Action=GetCallerIdentity", "Action=getcalleridentity"), "action_not_allowed"},
		"an escaped action twice":  {change("Action=GetCallerIdentity", "Action=%2547etCallerIdentity"), "action_not_allowed"},
		"another version":          {change("Version=2011-06-15", "Version=2010-05-08"), "action_not_allowed"},
		"no action":                {change("Action=GetCallerIdentity&", ""), "action_not_allowed"},
		"two actions":              {good + "&Action=GetCallerIdentity", "token_malformed"},
		"an action in lower case":  {good + "&action=AssumeRole", "token_malformed"},
		"an escaped parameter":     {good + "&%41ction=AssumeRole", "token_malformed"},
		"another parameter":        {good + "&RoleArn=x", "parameter_not_allowed"},
		"an audience in the query": {good + "&x-k8s-aws-id=x", "parameter_not_allowed"},
		"an empty parameter":       {good + "&", "parameter_not_allowed"},
		"a semicolon":              {good + ";Action=AssumeRole", "token_malformed"},
		"two signatures":           {good + "&X-Amz-Signature=" + strings.Repeat("0", 64), "token_malformed"},
		"a signature in lower":     {good + "&x-amz-signature=" + strings.Repeat("0", 64), "token_malformed"},
		"no signature":             {change("X-Amz-Signature=", "X-Amz-User-Agent="), "token_malformed"},
		"a wide value":             {change("Version=2011", "X-Amz-User-Agent=%C3%A9&Version=2011"), "token_malformed"},
		"a line break in a value":  {change("Version=2011", "X-Amz-User-Agent=a%0d%0ab&Version=2011"), "token_malformed"},
		"a plus":                   {change("Version=2011", "X-Amz-User-Agent=a+b&Version=2011"), "token_malformed"},
		"a session token":          {change("Version=2011", "X-Amz-Security-Token=a%3Cb%3E&Version=2011"), "token_malformed"},
		"another algorithm":        {change("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), "token_malformed"},
		"no audience":              {change("SignedHeaders=host%3Bx-k8s-aws-id", "SignedHeaders=host"), "audience_missing"},
		"another's audience":       {change("SignedHeaders=host%3Bx-k8s-aws-id", "SignedHeaders=host%3Bx-vault-aws-iam-server-id"), "audience_missing"},
		"no host signed":           {change("SignedHeaders=host%3B", "SignedHeaders="), "token_malformed"},
		"one more header":          {change("SignedHeaders=host%3Bx-k8s-aws-id", "SignedHeaders=host%3Bx-k8s-aws-id%3Bx-other"), "header_not_allowed"},
		"another service's scope":  {change("%2Fsts%2F", "%2Fiam%2F"), "scope_mismatch"},
		"another region's scope":   {change("%2Feu-west-1%2F", "%2Feu-west-2%2F"), "scope_mismatch"},
		"another day":              {change("%2F"+now.UTC().Format("20060102"), "%2F20200101"), "scope_mismatch"},
		"no date":                  {change("X-Amz-Date=", "X-Amz-User-Agent="), "token_malformed"},
		"a date":                   {change("X-Amz-Date=2", "X-Amz-Date=x"), "token_malformed"},
		"no expiry":                {change("X-Amz-Expires=900&", ""), "token_malformed"},
		"an hour":                  {change("X-Amz-Expires=900", "X-Amz-Expires=3600"), "token_malformed"},
		"a negative life":          {change("X-Amz-Expires=900", "X-Amz-Expires=-1"), "token_malformed"},
		"expired":                  {at(-17 * time.Minute), "token_expired"},
		"a short life":             {change("X-Amz-Expires=900", "X-Amz-Expires=300") + "#", "token_malformed"},
		"from the future":          {at(2 * time.Minute), "token_not_yet_valid"},
		"nothing":                  {"", "endpoint_not_allowed"},
		"base64 in base64":         {base64.StdEncoding.EncodeToString([]byte(good)), "endpoint_not_allowed"},
	} {
		x.want(t, name, wrap(tt.url), tt.reason)
	}
	x.want(t, "too large", wrap(change("Version=2011", "X-Amz-User-Agent="+strings.Repeat("a", 3000)+"&Version=2011")), "token_malformed")
	x.want(t, "padding", wrap(good)+"=", "token_malformed")
	x.want(t, "bits left over", awsiam.PrefixK8s+"YR", "token_malformed")
	if len(*sent) > 0 {
		t.Errorf("sent: %q", *sent)
	}
	x.want(t, "the good one", wrap(good), "unavailable")
	x.want(t, "of the global endpoint", signFor(t, login.Options{Region: "us-east-1", Endpoint: "https://sts.amazonaws.com"}, now), "unavailable")
	x.want(t, "for FIPS", signFor(t, login.Options{Region: "us-east-1", Endpoint: "https://sts-fips.us-east-1.amazonaws.com"}, now), "unavailable")
	want := "GET https://sts.eu-west-1.amazonaws.com sts.eu-west-1.amazonaws.com"
	if len(*sent) != 3 || (*sent)[0] != want {
		t.Errorf("sent: %q", *sent)
	}
}

// signFor signs for the STS of AWS.
func signFor(t *testing.T, o login.Options, at time.Time) string {
	t.Helper()
	o.Audience, o.Now = audience, at
	if o.Form == "" {
		o.Form = login.FormK8s
	}
	tok, err := login.New(t.Context(), user.Credentials(), o)
	if err != nil {
		t.Fatal(err)
	}
	return tok.Value
}

// The lives that a proof may have.
func TestLife(t *testing.T) {
	t.Parallel()
	x, _ := newAWS(t, nil)
	for name, tt := range map[string]struct {
		expires string
		age     time.Duration
		reason  string
	}{
		"as it says":              {"300", 5 * time.Minute, "unavailable"},
		"as it says, over":        {"300", 6*time.Minute + time.Second, "token_expired"},
		"as the clients mean it":  {"60", 14 * time.Minute, "unavailable"},
		"that is over, too":       {"60", 16*time.Minute + time.Second, "token_expired"},
		"zero, as of the clients": {"0", 14 * time.Minute, "unavailable"},
	} {
		at := x.now().Add(-tt.age)
		u := unwrap(t, signFor(t, login.Options{Region: "eu-west-1"}, at))
		x.want(t, name, wrap(strings.Replace(u, "X-Amz-Expires=900", "X-Amz-Expires="+tt.expires, 1)), tt.reason)
	}
	short, _ := newAWS(t, map[string]any{"max_age": "PT1M", "clock_skew": "PT0S"})
	for _, form := range []string{login.FormK8s, login.FormVault} {
		short.want(t, form, signFor(t, login.Options{Region: "eu-west-1", Form: form}, short.now().Add(-58*time.Second)), "unavailable")
		short.want(t, form, signFor(t, login.Options{Region: "eu-west-1", Form: form}, short.now().Add(-62*time.Second)), "token_expired")
		early := signFor(t, login.Options{Region: "eu-west-1", Form: form}, short.now().Add(2*time.Second))
		if _, got, hint := short.identify(t.Context(), early); got != "token_not_yet_valid" || hint.MaxAge <= 0 || hint.MaxAge > 2*time.Second {
			t.Errorf("%s: %s, to be remembered %+v", form, got, hint)
		}
	}
}

// vaultFields are the fields of a login, decoded, for a test to change.
type vaultFields struct {
	method, url, body string
	header            map[string]any
}

func readVault(t *testing.T, token string) vaultFields {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, awsiam.PrefixVault))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]string
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	text := func(name string) string {
		b, err := base64.StdEncoding.DecodeString(m[name])
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	f := vaultFields{method: m["iam_http_request_method"], url: text("iam_request_url"), body: text("iam_request_body")}
	if err := json.Unmarshal([]byte(text("iam_request_headers")), &f.header); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f vaultFields) token(t *testing.T) string {
	t.Helper()
	headers, err := json.Marshal(f.header)
	if err != nil {
		t.Fatal(err)
	}
	return f.with(t, string(headers), nil)
}

func (f vaultFields) with(t *testing.T, headers string, more map[string]any) string {
	t.Helper()
	b64 := base64.StdEncoding.EncodeToString
	m := map[string]any{
		"iam_http_request_method": f.method, "iam_request_url": b64([]byte(f.url)), "iam_request_body": b64([]byte(f.body)), "iam_request_headers": b64([]byte(headers)),
	}
	for k, v := range more {
		if m[k] = v; v == nil {
			delete(m, k)
		}
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return awsiam.PrefixVault + base64.RawURLEncoding.EncodeToString(raw)
}

// vaultChange changes one thing of a good login.
type vaultChange struct {
	change func(f *vaultFields)
	reason string
}

func set(name string, value any) func(*vaultFields) {
	return func(f *vaultFields) { f.header[name] = value }
}

func signs(from, to string) func(*vaultFields) {
	return func(f *vaultFields) {
		a := f.header["Authorization"].([]any)[0].(string)
		f.header["Authorization"] = strings.Replace(a, from, to, 1)
	}
}

var vaultChanges = map[string]vaultChange{
	"a get":                 {func(f *vaultFields) { f.method = "GET" }, "action_not_allowed"},
	"a host":                {func(f *vaultFields) { f.url = "https://sts.evil.example/" }, "endpoint_not_allowed"},
	"a user":                {func(f *vaultFields) { f.url = "https://x@sts.eu-west-1.amazonaws.com/" }, "endpoint_not_allowed"},
	"a path":                {func(f *vaultFields) { f.url += "x" }, "endpoint_not_allowed"},
	"a query":               {func(f *vaultFields) { f.url += "?Action=AssumeRole" }, "endpoint_not_allowed"},
	"another body":          {func(f *vaultFields) { f.body = "Action=AssumeRole&Version=2011-06-15" }, "action_not_allowed"},
	"two actions":           {func(f *vaultFields) { f.body += "&Action=AssumeRole" }, "action_not_allowed"},
	"another case":          {func(f *vaultFields) { f.body += "&action=AssumeRole" }, "action_not_allowed"},
	"a request in the body": {func(f *vaultFields) { f.body += "\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\n\r\n" }, "action_not_allowed"},
	"no audience":           {func(f *vaultFields) { delete(f.header, "X-Vault-Aws-Iam-Server-Id") }, "audience_missing"},
	"another audience":      {set("X-Vault-Aws-Iam-Server-Id", "https://other.example.com"), "audience_mismatch"},
	"an audience's case":    {set("X-Vault-Aws-Iam-Server-Id", strings.ToUpper(audience)), "audience_mismatch"},
	"the audience twice":    {set("X-Vault-Aws-Iam-Server-Id", []string{audience, audience}), "token_malformed"},
	"the audience by case":  {set("x-vault-aws-iam-server-id", audience), "token_malformed"},
	"unsigned audience":     {signs(";x-vault-aws-iam-server-id", ""), "audience_missing"},
	"unsigned date":         {signs(";x-amz-date", ""), "header_not_signed"},
	"unsigned session":      {set("X-Amz-Security-Token", "abc"), "header_not_signed"},
	"a signed header more": {func(f *vaultFields) {
		signs("host;", "host;transfer-encoding;")(f)
		set("Transfer-Encoding", "chunked")(f)
	}, "header_not_allowed"},
	"a signed one, not there": {signs("host;", "host;user-agent;"), "token_malformed"},
	"not sorted":              {signs("host;x-amz-date", "x-amz-date;host"), "token_malformed"},
	"no authorization":        {func(f *vaultFields) { delete(f.header, "Authorization") }, "token_malformed"},
	"a bearer":                {set("Authorization", "Bearer x"), "token_malformed"},
	"another host header":     {set("Host", "evil.example"), "header_not_allowed"},
	"another length":          {set("Content-Length", "4"), "header_not_allowed"},
	"another type":            {set("Content-Type", "multipart/form-data"), "header_not_allowed"},
	"a line break":            {set("X-Amz-Date", "a\r\nX-Evil: 1"), "token_malformed"},
	"a number":                {set("X-Other", 1), "token_malformed"},
	"no date":                 {func(f *vaultFields) { delete(f.header, "X-Amz-Date") }, "token_malformed"},
	"another region":          {signs("/eu-west-1/", "/eu-west-2/"), "scope_mismatch"},
	"another service":         {signs("/sts/", "/iam/"), "scope_mismatch"},
	"two values of a header":  {set("X-Amz-Date", []string{"20200101T000000Z", "20200101T000000Z"}), "token_malformed"},
	"a long header":           {set("User-Agent", strings.Repeat("x", 1025)), "token_malformed"},
	"a token of other letters": {func(f *vaultFields) {
		signs("x-vault", "x-amz-security-token;x-vault")(f)
		set("X-Amz-Security-Token", "<a>")(f)
	}, "header_not_allowed"},
}

func TestVaultAttacks(t *testing.T) {
	t.Parallel()
	x, sent := newAWS(t, nil)
	token := signFor(t, login.Options{Region: "eu-west-1", Form: login.FormVault}, x.now())
	for name, tt := range vaultChanges {
		f := readVault(t, token)
		tt.change(&f)
		x.want(t, name, f.token(t), tt.reason)
	}
	f := readVault(t, token)
	headers, err := json.Marshal(f.header)
	if err != nil {
		t.Fatal(err)
	}
	good := string(headers)
	for name, tok := range map[string]string{
		"a field more":          f.with(t, good, map[string]any{"role": "admin"}),
		"a field less":          f.with(t, good, map[string]any{"iam_request_body": nil}),
		"a number":              f.with(t, good, map[string]any{"iam_request_body": 1}),
		"no base64":             f.with(t, good, map[string]any{"iam_request_url": "https://sts.amazonaws.com/"}),
		"headers that are none": f.with(t, `[]`, nil),
		"headers and more":      f.with(t, good+`{}`, nil),
		"a header twice":        f.with(t, strings.Replace(good, "{", `{"Host":"a","Host":"b",`, 1), nil),
		"a list in a list":      f.with(t, strings.Replace(good, "{", `{"X-Y":[["a"]],`, 1), nil),
		"no object":             awsiam.PrefixVault + base64.RawURLEncoding.EncodeToString([]byte(`"x"`)),
		"nothing":               awsiam.PrefixVault,
		"a field twice":         awsiam.PrefixVault + base64.RawURLEncoding.EncodeToString([]byte(`{"iam_http_request_method":"POST","iam_http_request_method":"GET"}`)),
		"too large":             f.with(t, good+strings.Repeat(" ", 8<<10), nil),
		"the other's prefix":    awsiam.PrefixK8s + strings.TrimPrefix(token, awsiam.PrefixVault),
	} {
		reason := "token_malformed"
		if name == "the other's prefix" {
			reason = "endpoint_not_allowed"
		}
		x.want(t, name, tok, reason)
	}
	if len(*sent) > 0 {
		t.Errorf("sent: %q", *sent)
	}
	x.want(t, "the good one", token, "unavailable")
	if len(*sent) != 1 || (*sent)[0] != "POST https://sts.eu-west-1.amazonaws.com sts.eu-west-1.amazonaws.com" {
		t.Errorf("sent: %q", *sent)
	}
}

// What STS gets is made anew: of a caller's headers only those that are signed and known arrive, strings or lists alike.
func TestNothingElseIsSentOn(t *testing.T) {
	t.Parallel()
	s := ststest.New(t, role)
	x := newTenant(t, s.URL, nil)
	f := readVault(t, sign(t, role, login.FormVault, s.URL, x.now()))
	for name, v := range map[string]string{
		"X-Forwarded-Host": "evil.example", "Connection": "upgrade", "Transfer-Encoding": "chunked", "Accept": "application/json", "User-Agent": "<Arn>evil</Arn>",
		"Cookie": "a=b", "Expect": "100-continue",
	} {
		f.header[name] = v
	}
	lists := maps.Clone(f.header)
	for name, v := range lists { // some clients write a string
		if l, ok := v.([]any); ok {
			f.header[name] = l[0]
		}
	}
	x.want(t, "with more headers", f.token(t), "")
	got, body := s.Last()
	for name := range got.Header {
		switch name {
		case "Accept-Encoding", "Authorization", "Content-Length", "Content-Type", "X-Amz-Date", "X-Amz-Security-Token", "X-Vault-Aws-Iam-Server-Id":
		case "User-Agent":
			if got.UserAgent() != "realmgate" {
				t.Errorf("the user agent is %q", got.UserAgent())
			}
		default:
			t.Errorf("%s was sent on", name)
		}
	}
	if body != "Action=GetCallerIdentity&Version=2011-06-15" || len(got.TransferEncoding) > 0 {
		t.Errorf("%q, %v", body, got.TransferEncoding)
	}

	x.want(t, "presigned", sign(t, role, login.FormK8s, s.URL, x.now()), "")
	got, body = s.Last()
	if len(got.Header) != 3 || got.Header.Get("X-K8s-Aws-Id") != audience || got.UserAgent() != "realmgate" || body != "" || got.Method != http.MethodGet {
		t.Errorf("%s %v %q", got.Method, got.Header, body)
	}
}

// A proof for another audience is refused by STS, since the audience that this tenant wants is sent with it.
func TestAudienceOfAnother(t *testing.T) {
	t.Parallel()
	s := ststest.New(t, user)
	for _, header := range []string{"", "x-cluster"} {
		o := login.Options{Audience: "https://other.example.com", AudienceHeader: header, Region: "us-east-1", Endpoint: s.URL, Form: login.FormK8s, Now: time.Now()}
		var change map[string]any
		if header != "" {
			change = map[string]any{"audience_header": header}
		}
		x := newTenant(t, s.URL, change)
		other, err := login.New(t.Context(), user.Credentials(), o)
		if err != nil {
			t.Fatal(err)
		}
		x.want(t, "another's", other.Value, "proof_refused")
		o.Audience = audience
		ours, err := login.New(t.Context(), user.Credentials(), o)
		if err != nil {
			t.Fatal(err)
		}
		x.want(t, "ours", ours.Value, "")
		o.Form = login.FormVault
		if ours, err = login.New(t.Context(), user.Credentials(), o); err != nil {
			t.Fatal(err)
		}
		x.want(t, "ours, in the other form", ours.Value, "")
	}
}
