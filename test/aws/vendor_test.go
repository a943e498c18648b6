package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/realmgate/realmgate/internal/miniotest"
	"github.com/realmgate/realmgate/plugins/aws/sigv4"
	"github.com/realmgate/realmgate/sdk"
)

const (
	bucket      = "lake"
	identityARN = "arn:aws:iam::123456789012:user/realmgate"
	identityRef = "urn:realmgate-secret:ops:minio"
)

// secrets is the host's side: one secret, the keys of the service identity.
type secrets struct {
	sdk.Host // nothing else is asked for

	mu    sync.Mutex
	value string
}

func (s *secrets) set(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value = value
}

// ResolveSecret is sdk.Host's.
func (s *secrets) ResolveSecret(_ context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ref.String() != identityRef {
		return sdk.Secret{}, errors.New("there is no such secret")
	}
	return sdk.NewSecret([]byte(s.value)), nil
}

// fixture is the vendor in front of a MinIO with a bucket that has the objects a/x and b/x.
type fixture struct {
	*sigv4.Vendor
	minio   *miniotest.Server
	secrets *secrets
	root    *s3.Client
	ctx     context.Context
}

func start(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{minio: miniotest.Start(t)}
	f.secrets = &secrets{value: f.minio.AccessKey + ":" + f.minio.SecretKey}
	f.ctx = sdk.WithHost(t.Context(), f.secrets)
	var s sigv4.Settings
	if err := sdk.Decode([]byte(`{"sts_endpoint":"`+f.minio.URL+`"}`), &s); err != nil {
		t.Fatal(err)
	}
	var err error
	if f.Vendor, err = sigv4.NewVendor(f.ctx, sdk.Setup{AuthenticationType: "SIGV4"}, s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	f.root = f.client(f.minio.AccessKey, f.minio.SecretKey, "")
	if _, err := f.root.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a/x", "b/x"} {
		if err := put(f.root, key); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// client is the SDK's client of S3, as someone who got the keys would use it.
func (f *fixture) client(id, secret, token string) *s3.Client {
	return s3.New(s3.Options{
		Region: miniotest.Region, BaseEndpoint: aws.String(f.minio.URL), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
	})
}

func (f *fixture) vended(t *testing.T, r sdk.VendRequest) *s3.Client {
	t.Helper()
	c, err := f.Vend(f.ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	return f.client(property(c, "s3.access-key-id"), property(c, "s3.secret-access-key"), property(c, "s3.session-token"))
}

func property(c sdk.ConnectionCredentials, name string) string {
	return string(c.Properties[name].Reveal())
}

func put(c *s3.Client, key string) error {
	_, err := c.PutObject(context.Background(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: bytes.NewReader([]byte(key))})
	return err
}

func get(c *s3.Client, key string) error {
	out, err := c.GetObject(context.Background(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	if raw, err := io.ReadAll(out.Body); err != nil || string(raw) != key {
		return errors.New("it is another object")
	}
	return nil
}

func list(c *s3.Client, prefix string) error {
	_, err := c.ListObjectsV2(context.Background(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String(prefix)})
	return err
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func lakeOf(changes map[string]string) sdk.Connection {
	p := map[string]string{
		"authenticationType": "SIGV4", "roleArn": "arn:aws:iam::210987654321:role/lake", "signingRegion": miniotest.Region, "signingName": "s3",
	}
	for k, v := range changes {
		p[k] = v
	}
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return sdk.Connection{
		Realm: "r1", Name: "lake", Type: "GENERIC_HTTP", AuthenticationType: "SIGV4", Authentication: raw,
		ServiceIdentity: &sdk.ServiceIdentity{Type: "AWS_IAM", ARN: identityARN, Credentials: ref(identityRef)},
	}
}

func ref(text string) sdk.SecretRef {
	r, err := sdk.ParseSecretRef(text)
	if err != nil {
		panic(err)
	}
	return r
}

func request(changes map[string]string) sdk.VendRequest {
	return sdk.VendRequest{Connection: lakeOf(changes), Caller: sdk.Principal{ID: "1", Name: "alice"}}
}

// A client of S3 works with what is vended, and with nothing that is not exactly that.
func TestVendedKeys(t *testing.T) {
	t.Parallel()
	f := start(t)
	c, err := f.Vend(f.ctx, request(nil))
	if err != nil {
		t.Fatal(err)
	}
	id, secret, token := property(c, "s3.access-key-id"), property(c, "s3.secret-access-key"), property(c, "s3.session-token")
	if left := time.Until(c.Expires); id == f.minio.AccessKey || left < 55*time.Minute || left > time.Hour {
		t.Errorf("the keys %s expire in %v", id, left)
	}
	good := f.client(id, secret, token)
	if err := errors.Join(put(good, "a/y"), get(good, "a/y"), get(good, "b/x"), list(good, "")); err != nil {
		t.Error(err)
	}
	flip := func(s string) string { return s[:len(s)-1] + string(s[len(s)-1]^1) }
	for what, bad := range map[string]*s3.Client{
		"another secret": f.client(id, flip(secret), token), "another token": f.client(id, secret, flip(token)), "no token": f.client(id, secret, ""),
	} {
		if err := get(bad, "a/x"); code(err) == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestSessionPolicyIsEnforced(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.vended(t, request(map[string]string{
		"sessionPolicy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::lake/a/*"]}]}`,
	}))
	if err := get(c, "a/x"); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{"another folder": get(c, "b/x"), "writing": put(c, "a/z"), "listing": list(c, "a/")} {
		if code(err) != "AccessDenied" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestNarrowingIsEnforced(t *testing.T) {
	t.Parallel()
	f := start(t)
	r := request(nil)
	r.NarrowTo = []string{"s3://lake/a"}
	c := f.vended(t, r)
	if err := errors.Join(get(c, "a/x"), put(c, "a/z"), list(c, "a/")); err != nil {
		t.Error(err)
	}
	if err := put(f.root, "ab/x"); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"another folder": get(c, "b/x"), "a folder that begins alike": get(c, "ab/x"), "writing there": put(c, "b/z"), "listing it": list(c, "b/"), "listing all": list(c, ""),
	} {
		if code(err) != "AccessDenied" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := get(f.vended(t, request(nil)), "b/x"); err != nil {
		t.Errorf("a session that is not narrowed: %v", err)
	}
}

// MinIO answers AccessDenied to keys that it does not know.
func TestWrongIdentity(t *testing.T) {
	t.Parallel()
	f := start(t)
	for what, keys := range map[string]string{"secret": f.minio.AccessKey + ":hunter2hunter2", "id": "AKIDOTHER:hunter2hunter2"} {
		f.secrets.set(keys)
		c, err := f.Vend(f.ctx, request(nil))
		if d := sdk.AsDenial(err); d == nil || d.Reason != sigv4.ReasonDenied || len(c.Properties) != 0 || !strings.Contains(d.Detail, identityARN) ||
			!strings.Contains(d.Detail, "keys that they do not accept") || strings.Contains(d.Detail, "hunter2") {
			t.Errorf("another %s: %v", what, err)
		}
	}
}

// While STS is down a session serves those who share it, and nobody else gets one.
func TestServerDown(t *testing.T) {
	t.Parallel()
	f := start(t)
	c := f.vended(t, request(nil))
	f.minio.Stop()
	again, err := f.Vend(f.ctx, request(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Vend(f.ctx, request(map[string]string{"externalId": "another"})); err == nil || sdk.AsDenial(err) != nil || !strings.Contains(err.Error(), "STS cannot be reached") {
		t.Errorf("another session: %v", err)
	}
	f.minio.Resume(t)
	if err := errors.Join(get(c, "a/x"), get(f.client(property(again, "s3.access-key-id"), property(again, "s3.secret-access-key"), property(again, "s3.session-token")), "a/x")); err != nil {
		t.Error(err)
	}
}
