package sdk

import (
	"strings"
	"testing"
	"time"
)

type testSettings struct {
	Name    string    `json:"name" doc:"a name"`
	Key     SecretRef `json:"key,omitempty"`
	Path    ClaimPath `json:"path,omitempty"`
	Skew    Duration  `json:"skew" default:"PT30S"`
	Strict  bool      `json:"strict" default:"true"`
	Mapping []struct {
		Regex       string `json:"regex"`
		Replacement string `json:"replacement"`
	} `json:"mapping,omitempty"`
	TLS *struct {
		CA string `json:"ca"`
	} `json:"tls,omitempty"`
}

func TestDecode(t *testing.T) {
	var s testSettings
	err := Decode([]byte(`{"name":"x","key":"urn:polaris-secret:v:a/b?=version=3#f","path":"a/\"b/c\"","mapping":[{"regex":"a","replacement":"b"}],"tls":[{"ca":"y"}]}`), &s)
	if err != nil {
		t.Fatal(err)
	}
	if s.Skew.Std() != 30*time.Second || !s.Strict || s.TLS.CA != "y" || s.Mapping[0].Replacement != "b" {
		t.Fatalf("%+v", s)
	}
	if got := s.Key.String(); got != "urn:realmgate-secret:v:a/b?=version=3#f" {
		t.Fatal(got)
	}
}

func TestDecodeReportsEveryFault(t *testing.T) {
	var s testSettings
	err := Decode([]byte(`{"nam":"x","key":"hunter2","path":"a//b","skew":5,"mapping":[{"regex":1,"replacement":"b"},{"regex":"a"}],"tls":[{"ca":"y"},{"ca":"z"}]}`), &s)
	want := map[string]string{
		"/name": "required", "/nam": `did you mean "name"?`, "/key": "a secret reference", "/path": "empty segment", "/skew": "a string",
		"/mapping/0/regex": "a string", "/mapping/1/replacement": "required", "/tls": "one block is wanted, there are 2",
	}
	got := Problems(err)
	for _, p := range got {
		if !strings.Contains(p.Summary, want[p.Path]) || want[p.Path] == "" {
			t.Errorf("unexpected %q: %s", p.Path, p.Summary)
		}
		if p.Sensitive != (p.Path == "/key") {
			t.Errorf("%s: sensitive %v", p.Path, p.Sensitive)
		}
		delete(want, p.Path)
	}
	if len(want) > 0 {
		t.Errorf("not reported: %v", want)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("the error repeats a pasted secret")
	}
}
