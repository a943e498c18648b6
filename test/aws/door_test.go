package aws

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/connection"
	"github.com/realmgate/realmgate/internal/miniotest"
	"github.com/realmgate/realmgate/sdk"
)

// token makes a principal with a role and gets a token of it.
func (d *daemon) token(realm, name, role string) string {
	d.t.Helper()
	var made admin.CreatedPrincipal
	d.Operate("role", "create", "--realm", realm, role)
	if err := json.Unmarshal([]byte(d.Operate("principal", "create", "--realm", realm, name, "--json")), &made); err != nil || made.Credentials == nil {
		d.t.Fatalf("no client secret: %v", err)
	}
	d.Operate("role", "grant", "--realm", realm, role, name)
	return d.TokenIn(d.Grant(realm, made.Credentials.ClientID, made.Credentials.ClientSecret, "PRINCIPAL_ROLE:"+role))
}

// signOver asks a daemon for a signature, as a client does.
func (d *daemon) signOver(token string, body map[string]any) (int, sdk.SignedRequest) {
	d.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		d.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.URL+"/realms/demo/v1/connections/lake/sign", bytes.NewReader(raw))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	var got connection.Signed
	text, err := io.ReadAll(res.Body)
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	if err != nil {
		d.t.Fatalf("%d %s: %v", res.StatusCode, text, err)
	}
	out := sdk.SignedRequest{URL: got.URI}
	for name, values := range got.Headers {
		for _, v := range values {
			out.Header = append(out.Header, sdk.Header{Name: name, Value: v})
		}
	}
	return res.StatusCode, out
}

// A caller with a token and a role gets requests signed by a running daemon, which a server that checks signatures takes as
// they are, and not with one byte changed.
func TestSigningDoor(t *testing.T) {
	t.Parallel()
	minio := miniotest.Start(t)
	d := lakeDaemon(t, minio)
	root := s3.New(s3.Options{
		Region: miniotest.Region, BaseEndpoint: aws.String(minio.URL), UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider(minio.AccessKey, minio.SecretKey, ""),
	})
	if _, err := root.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	token := d.token("demo", "alice", "service")
	for _, presign := range []bool{false, true} {
		body := "a body"
		put := map[string]any{"method": "PUT", "uri": minio.URL + "/lake/a:b%20c%2Fd", "presign": presign, "headers": map[string]any{"x-amz-meta-who": "a   b"}, "payloadSha256": hashOf(body)}
		status, s := d.signOver(token, put)
		if status != http.StatusOK {
			t.Fatalf("presigned %v: %d", presign, status)
		}
		for what, bad := range map[string]sdk.SignedRequest{"signature": flip(s), "path": change(s, "lake/a", "lake/b")} {
			if status, said := send(t, "PUT", bad, strings.NewReader(body)); status != http.StatusForbidden || !strings.Contains(said, "SignatureDoesNotMatch") {
				t.Errorf("presigned %v, another %s: %d %s", presign, what, status, said)
			}
		}
		if status, _ := send(t, "PUT", s, strings.NewReader("b body")); status < 400 {
			t.Errorf("presigned %v, another body: %d", presign, status)
		}
		if status, said := send(t, "PUT", s, strings.NewReader(body)); status != http.StatusOK {
			t.Errorf("presigned %v: %d %s", presign, status, said)
		}
		_, got := d.signOver(token, map[string]any{"method": "GET", "uri": minio.URL + "/lake/a:b%20c%2Fd", "presign": presign})
		if status, said := send(t, "GET", got, nil); status != http.StatusOK || said != body {
			t.Errorf("presigned %v: %d %s", presign, status, said)
		}
		delete(put, "payloadSha256")
		put["uri"] = minio.URL + "/lake/folder/"
		if status, s := d.signOver(token, put); !presign { // nothing was said of a body
			if sent, said := send(t, "PUT", s, nil); status != http.StatusOK || sent != http.StatusOK {
				t.Errorf("an object without a body: %d, %d %s", status, sent, said)
			}
		}
	}
	for what, tt := range map[string]struct {
		token, uri string
		status     int
	}{
		"another host": {token, "https://evil.example/", 403}, "another port": {token, "http://127.0.0.1:1/lake", 403}, "no token": {"x", minio.URL + "/lake", 401},
		"another role": {d.token("demo", "bob", "reader"), minio.URL + "/lake", 403},
	} {
		if status, s := d.signOver(tt.token, map[string]any{"method": "GET", "uri": tt.uri}); status != tt.status || s.URL != "" || s.Header != nil {
			t.Errorf("%s: %d %+v", what, status, s)
		}
	}
}
