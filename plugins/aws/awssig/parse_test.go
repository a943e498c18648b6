package awssig_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/awssig"
	"github.com/realmgate/realmgate/sdk"
)

const (
	credential = "Credential=AKID/20260504/eu-west-1/svc/aws4_request"
	signed     = "SignedHeaders=host;x-amz-date"
	signature  = "Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	good       = credential + ", " + signed + ", " + signature
)

func TestAuthorization(t *testing.T) {
	t.Parallel()
	for _, text := range []string{good, credential + "," + signed + "," + signature, signature + ",  " + credential + "," + signed} {
		if p, err := awssig.ParseAuthorization(text); err != nil || !p.Signs("host") || !p.Signs("x-amz-date") || p.Signs("date") {
			t.Errorf("%q: %+v, %v", text, p, err)
		}
	}
	for name, text := range map[string]string{
		"nothing":            "",
		"one missing":        credential + "," + signed,
		"one more":           good + ", Extra=1",
		"one twice":          good + ", " + signature,
		"another's case":     strings.Replace(good, "Credential", "credential", 1),
		"no key":             strings.Replace(good, "AKID/", "/", 1),
		"a part too many":    strings.Replace(good, "AKID/", "AK/ID/", 1),
		"a key with a space": strings.Replace(good, "AKID", "AK ID", 1),
		"a day":              strings.Replace(good, "20260504", "20260532", 1),
		"a short day":        strings.Replace(good, "20260504", "2026054", 1),
		"the terminator":     strings.Replace(good, "aws4_request", "aws5_request", 1),
		"no region":          strings.Replace(good, "eu-west-1", "", 1),
		"no host":            strings.Replace(good, "host;", "", 1),
		"not sorted":         strings.Replace(good, "host;x-amz-date", "x-amz-date;host", 1),
		"repeated":           strings.Replace(good, "host;", "host;host;", 1),
		"upper case":         strings.Replace(good, "host;", "Host;host;", 1),
		"an empty name":      strings.Replace(good, "host;", "host;;", 1),
		"many":               strings.Replace(good, "host;x-amz-date", "host"+strings.Repeat(";x", 64), 1),
		"a long signature":   good + "0",
		"a signature":        strings.Replace(good, "Signature=0", "Signature=A", 1),
	} {
		if p, err := awssig.ParseAuthorization(text); err == nil {
			t.Errorf("%s: %+v", name, p)
		} else if strings.Contains(err.Error(), "0123456789abcdef") {
			t.Errorf("%s: %v repeats the text", name, err)
		}
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"": "", "a": "a=", "b&a=1": "a=1&b=", "a-b=1&a=2": "a=2&a-b=1", "x=%7e%41%2f": "x=~A%2F", "a=b=c": "a=b%3Dc", "a;b": "a%3Bb=", "&": "=&=",
	} {
		if q, err := awssig.ParseQuery(raw); err != nil || q.Encode() != want {
			t.Errorf("%q: %q, %v, want %q", raw, q.Encode(), err, want)
		}
	}
	for _, raw := range []string{"a=%", "a=%4", "a=%zz", "a+b=1", "a=1+2"} {
		if q, err := awssig.ParseQuery(raw); err == nil {
			t.Errorf("%q: %v", raw, q)
		}
	}
	for raw, ok := range map[string]bool{"A=1": true, "A=1&A=1": false, "A=1&a=2": false, "a=1": false, "": false, "%41=1": true} {
		q, err := awssig.ParseQuery(raw)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := q.One("A"); (err == nil) != ok || ok && v != "1" {
			t.Errorf("%q: %q, %v", raw, v, err)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	if at, err := awssig.ParseTime("20260504T030201Z"); err != nil || !at.Equal(when) {
		t.Errorf("%v, %v", at, err)
	}
	for _, text := range []string{"", "20260504", "2026-05-04T03:02:01Z", "20260504T030201", "20260504T030201+0000", "20260504T030201.5Z", "20260504T256161Z"} {
		if at, err := awssig.ParseTime(text); err == nil {
			t.Errorf("%q: %v", text, at)
		}
	}
	for text, want := range map[string]time.Duration{"0": 0, "60": time.Minute, "604800": 168 * time.Hour, "604801": -1, "-1": -1, "+1": -1, "01": -1, "": -1, "1e3": -1} {
		if d, err := awssig.ParseExpires(text); (err != nil) != (want < 0) || err == nil && d != want {
			t.Errorf("%q: %v, %v", text, d, err)
		}
	}
	s := awssig.Scope{Day: "20260504"}
	if !s.FitsDay(when) || !s.FitsDay(when.Add(20*time.Hour)) || s.FitsDay(when.Add(21*time.Hour)) || s.FitsDay(when.Add(-4*time.Hour)) {
		t.Error("the day of a scope is not that of UTC")
	}
}

func TestMissingHeader(t *testing.T) {
	t.Parallel()
	r, err := awssig.Read(&sdk.HTTPMessage{Method: "GET", Host: "h", RawTarget: "/"})
	if err != nil {
		t.Fatal(err)
	}
	var missing *awssig.MissingHeaderError
	if text, err := r.Canonical(awssig.Proof{Signed: []string{"host", "x"}}, "p", awssig.Rules{}); !errors.As(err, &missing) || missing.Name != "x" || text != "" {
		t.Errorf("%q, %v", text, err)
	}
	for _, target := range []string{"", "*", "http://h/", "/?a=%"} {
		if _, err := awssig.Read(&sdk.HTTPMessage{RawTarget: target}); err == nil {
			t.Errorf("%q is a target", target)
		}
	}
}

// What parses has one canonical form, which parses back to itself.
func FuzzQuery(f *testing.F) {
	for _, raw := range []string{"", "a=1&b=2", "a=%20&a=%2B", "=&=", "a-b=1&a=2", "%00=%ff"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := awssig.ParseQuery(raw)
		if err != nil {
			if q != nil {
				t.Error("a value beside an error")
			}
			return
		}
		once := q.Encode()
		again, err := awssig.ParseQuery(once)
		if err != nil || again.Encode() != once {
			t.Errorf("%q: %q, then %q, %v", raw, once, again.Encode(), err)
		}
	})
}

// An authorization that parses says one thing only.
func FuzzAuthorization(f *testing.F) {
	f.Add(good)
	f.Add(credential + "," + signed + "," + signature)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := awssig.ParseAuthorization(text)
		if err != nil {
			return
		}
		again, err := awssig.ParseAuthorization("Credential=" + p.KeyID + "/" + p.Scope.String() + ",SignedHeaders=" + strings.Join(p.Signed, ";") + ",Signature=" + p.Signature)
		if err != nil || again.Scope != p.Scope || again.KeyID != p.KeyID || again.Signature != p.Signature {
			t.Errorf("%q: %+v, then %+v, %v", text, p, again, err)
		}
	})
}
