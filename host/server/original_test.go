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
	} {
		for l, prefix := range map[string]string{ForwardedX: "X-Forwarded-", ForwardedOriginal: "X-Original-"} {
			for _, v := range values {
				refused(speaking(l), check, prefix+suffix, v)
			}
			good := map[string]string{"Method": "GET", "Uri": "/", "Proto": "http", "Host": "app.example"}[suffix]
			refused(speaking(l), check, prefix+suffix, good, prefix+suffix, good)
		}
	}
	refused(trusted, check+"/y", "X-Forwarded-Uri", "/z")
	if n := w.legs["a"].count(); n != 0 {
		t.Errorf("the plan was asked %d times", n)
	}
}
