package aws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// explained is what the test reads of an explanation.
type explained struct {
	Status int
	Reason string
	Routes []struct{ Stages []struct{ Notes []string } }
	text   string
}

func (d *daemon) explained(realm, request string) (e explained) {
	d.t.Helper()
	cmd := exec.Command(d.Command, "explain", "--realm", realm, "--request", "--json")
	cmd.Dir, cmd.Stdin = d.Dir, strings.NewReader(request)
	out, err := cmd.CombinedOutput()
	if err == nil {
		err = json.Unmarshal(out, &e)
	}
	if err != nil {
		d.t.Fatalf("%v\n%s", err, out)
	}
	e.text = string(out)
	return e
}

// written is a request as it is given to explain.
func written(r *http.Request) string {
	text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n", r.Method, r.URL.RequestURI(), r.URL.Host)
	for name, values := range r.Header {
		for _, v := range values {
			text += name + ": " + v + "\r\n"
		}
	}
	return text
}

// A signed request can be explained, with what was signed and whether the key is known, and without what makes it valid.
func TestExplainSignedRequests(t *testing.T) {
	t.Parallel()
	d := startDaemon(t, "", signedConfig)
	d.Principal("api", "alice", "reader")
	keys := d.accessKey("api", "alice")
	wrong, unknown, session := keys, keys, keys
	wrong.SecretAccessKey += "x"
	unknown.AccessKeyID = "RGAK" + strings.Repeat("Z", 16)
	session.SessionToken = "canary-session-token"
	for name, tt := range map[string]struct {
		keys   sdkaws.Credentials
		query  bool
		status int
		reason string
		notes  []string
	}{
		"good":           {keys, false, 200, "", []string{`signed with the access key "` + keys.AccessKeyID + `" for `, "/eu-west-1/execute-api/aws4_request", "signed headers: host, x-amz-content-sha256, x-amz-date", "has the SHA-256 "}},
		"in the query":   {keys, true, 200, "", []string{"signed headers: host"}},
		"another secret": {wrong, false, 401, "signature_invalid", []string{"has the SHA-256 "}},
		"an unknown key": {unknown, false, 401, "signature_invalid", []string{"the access key is not known to the realm"}},
		"a session":      {session, false, 401, "session_token_not_allowed", nil},
		"one in a query": {session, true, 401, "session_token_not_allowed", nil},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://app.example.com/v1/ns%1Fa/things?x=a%20b&X-Amz-Expires=60", nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.query {
			signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), tt.keys, r, hashOf(""), "execute-api", "eu-west-1", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if r, err = http.NewRequestWithContext(t.Context(), http.MethodGet, signed, nil); err != nil {
				t.Fatal(err)
			}
		} else {
			r.Header.Set("X-Amz-Content-Sha256", hashOf(""))
			if err := v4.NewSigner().SignHTTP(t.Context(), tt.keys, r, hashOf(""), "execute-api", "eu-west-1", time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		got := d.explained("api", written(r))
		if got.Status != tt.status || got.Reason != tt.reason {
			t.Errorf("%s: %d %s, want %d %s\n%s", name, got.Status, got.Reason, tt.status, tt.reason, got.text)
		}
		notes := strings.Join(got.Routes[0].Stages[0].Notes, "\n")
		for _, want := range tt.notes {
			if !strings.Contains(notes, want) {
				t.Errorf("%s: no note %q in\n%s", name, want, notes)
			}
		}
		if known := !strings.Contains(notes, "not known"); known == (name == "an unknown key") {
			t.Errorf("%s: notes on the key:\n%s", name, notes)
		}
		signature := r.URL.Query().Get("X-Amz-Signature")
		if _, in, ok := strings.Cut(r.Header.Get("Authorization"), "Signature="); ok {
			signature = in
		}
		for what, secret := range map[string]string{"signature": signature, "key": keys.SecretAccessKey, "session token": "canary-session-token"} {
			for place, text := range map[string]string{"explanation": got.text, "log": d.Log.String()} {
				if strings.Contains(text, secret[:12]) {
					t.Errorf("%s: the %s has the %s", name, place, what)
				}
			}
		}
	}
}
