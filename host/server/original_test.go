package server

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

var (
	sent   = []string{"Authorization", "Bearer x", "X-B", "1", "X-B", "2", "X-A", "3"}
	spoken = map[string][]string{ // what a proxy of each dialect says
		ForwardedX:        {"X-Forwarded-Method", "PUT", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "app.example", "X-Forwarded-Uri", "/x/%2f..//?q=%20"},
		ForwardedOriginal: {"X-Original-Method", "POST", "X-Original-Proto", "https", "X-Original-Host", "www.example", "X-Original-URI", "/y?z"},
	}
	plain    = sdk.HTTPMessage{Method: "GET", Scheme: "http", Host: "gate.internal", RawTarget: check}
	x        = sdk.HTTPMessage{Method: "PUT", Scheme: "https", Host: "app.example", RawTarget: "/x/%2f..//?q=%20"}
	original = sdk.HTTPMessage{Method: "POST", Scheme: "https", Host: "www.example", RawTarget: "/y?z"}
)

// Only a trusted peer tells about the original request, and only in the dialect of its listener; a caller's headers of the
// other dialect, which the proxy lets pass, change nothing.
func TestOriginalRequest(t *testing.T) {
	both := slices.Concat(spoken[ForwardedX], spoken[ForwardedOriginal])
	evil := []string{"X-Forwarded-Uri", "y", "X-Forwarded-Method", "A B", "X-Forwarded-Proto", "gopher", "X-Forwarded-Host", "a b", "X-Forwarded-Host", "c"}
	appended := plain
	appended.RawTarget = "/y/../%2f?z=1"
	partly := plain
	partly.Method = "DELETE"
	tests := []struct {
		name   string
		l      Listener
		target string
		header []string
		want   sdk.HTTPMessage
	}{
		{"x-forwarded", trusted, check, spoken[ForwardedX], x},
		{"x-forwarded by name", speaking(ForwardedX), check, spoken[ForwardedX], x},
		{"x-original", speaking(ForwardedOriginal), check, spoken[ForwardedOriginal], original},
		{"both to x-forwarded", trusted, check, both, x},
		{"both to x-original", speaking(ForwardedOriginal), check, both, original},
		{"both to none", speaking(ForwardedNone), check, both, plain},
		{"nonsense of another dialect", speaking(ForwardedOriginal), check, slices.Concat(spoken[ForwardedOriginal], evil), original},
		{"only some", trusted, check, []string{"X-Forwarded-Method", "DELETE"}, partly},
		{"appended path", trusted, check + "/y/../%2f?z=1", nil, appended},
		{"appended path beside none", speaking(ForwardedNone), check + "/y/../%2f?z=1", both, appended},
		{"appended path and the same header", trusted, check + "/y/../%2f?z=1", []string{"X-Forwarded-Uri", "/y/../%2f?z=1"}, appended},
		{"forged", Listener{}, check, both, plain},
		{"forged nonsense", Listener{}, check, evil, plain},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, true)
			rec := w.ask(t, tt.l, tt.target, slices.Concat(tt.header, sent)...)
			if rec.Code != 200 {
				t.Fatalf("%d %s", rec.Code, rec.Body)
			}
			tt.want.Header = []sdk.Header{{Name: "authorization", Value: "Bearer x"}, {Name: "x-a", Value: "3"}, {Name: "x-b", Value: "1"}, {Name: "x-b", Value: "2"}}
			if got := w.legs["a"].last(t).HTTP; !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("%+v\nwant %+v", *got, tt.want)
			}
		})
	}
}

// What a trusted proxy says is taken or refused: a value that cannot be is not replaced by another one.
func TestMalformedOriginalRequest(t *testing.T) {
	w := newWorld(t, true)
	refused := func(l Listener, target string, header ...string) {
		t.Helper()
		rec := w.ask(t, l, target, slices.Concat(header, sent)...)
		if rec.Code != 400 || rec.Header().Get(reasonHeader) != "request_malformed" {
			t.Errorf("%s %.40q: %d %s", target, header, rec.Code, rec.Body)
		}
	}
	for suffix, values := range map[string][]string{
		"Method": {"", "A B", "GET,PUT", "G\x00T", strings.Repeat("x", 33)},
		"Uri":    {"", "y", "http://x/y", "/a b", "/a\x00", "/a\x7f", "/\xff"},
		"Proto":  {"", "gopher", "https,http", "HTTPS"},
		"Host":   {"", "a b", "a, b", "a/b", "a\x00"},

		"Content-Length": {"", "-1", "+1", "1, 1", "0x1", strings.Repeat("1", 19)},
	} {
		for l, prefix := range map[string]string{ForwardedX: "X-Forwarded-", ForwardedOriginal: "X-Original-"} {
			for _, v := range values {
				refused(speaking(l), check, prefix+suffix, v)
			}
			good := map[string]string{"Method": "GET", "Uri": "/", "Proto": "http", "Host": "app.example", "Content-Length": "1"}[suffix]
			refused(speaking(l), check, prefix+suffix, good, prefix+suffix, good)
		}
	}
	refused(trusted, check+"/y", "X-Forwarded-Uri", "/z")
	if n := w.legs["a"].count(); n != 0 {
		t.Errorf("the plan was asked %d times", n)
	}
}

// The length of a body that a proxy keeps to itself is what the proxy says, and not what its own question has.
func TestOriginalLength(t *testing.T) {
	for _, tt := range []struct {
		name   string
		l      Listener
		header []string
		want   string
	}{
		{"x-forwarded", trusted, []string{"X-Forwarded-Content-Length", "7"}, "7"},
		{"x-original", speaking(ForwardedOriginal), []string{"X-Original-Content-Length", "7"}, "7"},
		{"beside the proxy's own", trusted, []string{"X-Forwarded-Content-Length", "7", "Content-Length", "0"}, "7"},
		{"another dialect's", trusted, []string{"X-Original-Content-Length", "7"}, ""},
		{"nobody says it", trusted, nil, ""},
		{"forged", Listener{}, []string{"X-Forwarded-Content-Length", "7", "Content-Length", "2"}, "2"},
	} {
		w := newWorld(t, true)
		if rec := w.ask(t, tt.l, check, slices.Concat(tt.header, sent)...); rec.Code != 200 {
			t.Fatalf("%s: %d %s", tt.name, rec.Code, rec.Body)
		}
		got := strings.Join(w.legs["a"].last(t).HTTP.Values("content-length"), ",")
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A request without an Authorization header may be signed in the query of the original request.
func TestPresigned(t *testing.T) {
	const query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0"
	for name, tt := range map[string]struct {
		needsHTTP     bool
		target        string
		header        []string
		scheme, token string
	}{
		"presigned":               {true, check + "?" + query, nil, "aws4-hmac-sha256", query},
		"of a trusted proxy":      {true, check, []string{"X-Forwarded-Uri", "/a%2Fb?a=1&" + query}, "aws4-hmac-sha256", "a=1&" + query},
		"a header goes before":    {true, check + "?" + query, []string{"Authorization", "Bearer x"}, "bearer", "x"},
		"no plan that would read": {false, check + "?" + query, []string{"Authorization", "Bearer x"}, "bearer", "x"},
		"twice":                   {true, check + "?" + query + "&X-Amz-Algorithm=x", nil, "", ""},
		"no scheme":               {true, check + "?X-Amz-Algorithm=a%20b/c", nil, "", ""},
		"an empty one":            {true, check + "?X-Amz-Algorithm=", nil, "", ""},
		"too large":               {true, check, []string{"X-Forwarded-Uri", "/?" + query + "&x=" + strings.Repeat("x", maxToken)}, "", ""},
		"not a parameter":         {true, check + "?x=X-Amz-Algorithm=AWS4-HMAC-SHA256", nil, "", ""},
		"in a path":               {true, check + "/X-Amz-Algorithm=AWS4-HMAC-SHA256", nil, "", ""},
	} {
		w := newWorld(t, tt.needsHTTP)
		_ = w.ask(t, trusted, tt.target, tt.header...)
		if got := w.legs["a"].last(t); got.Scheme != tt.scheme || got.Token != tt.token {
			t.Errorf("%s: %q, %q, want %q, %q", name, got.Scheme, got.Token, tt.scheme, tt.token)
		}
	}
	w := newWorld(t, false)
	if rec := w.ask(t, trusted, check+"?"+query); rec.Code != 401 || rec.Header().Get(reasonHeader) != reasonCredentialMissing || w.legs["a"].count() != 0 {
		t.Errorf("where nobody reads the query: %d %v", rec.Code, rec.Header())
	}
}
