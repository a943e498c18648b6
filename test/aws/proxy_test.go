package aws

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/realmgate/realmgate/internal/capture"
	"github.com/realmgate/realmgate/internal/miniotest"
)

// lakeProxy is a MinIO behind a daemon and its proxy, with clients that have no keys of it.
type lakeProxy struct {
	minio   *miniotest.Server
	log     *capture.Buffer
	plain   *http.Client // by the socket
	socket  *s3.Client   // by the socket, without credentials
	address *s3.Client   // by the loopback address, with the proxy's token for a key id
	nobody  *s3.Client   // the server itself, without credentials
}

const lakeConfig = `
secret_store "files" {
  type = "file"
  dir  = %q
}
service_identity "aws_iam" {
  iam_arn     = "arn:aws:iam::123456789012:user/realmgate"
  credentials = "urn:realmgate-secret:files:minio"
}
credential_vendor "SIGV4" {
  type         = "sigv4"
  sts_endpoint = %q
}
realm "demo" {
  connections {
    use_roles = ["service"]
  }
}
`

// lakeDaemon is a daemon with a connection to a MinIO.
func lakeDaemon(t *testing.T, minio *miniotest.Server) *daemon {
	t.Helper()
	secrets := t.TempDir()
	if err := os.WriteFile(filepath.Join(secrets, "minio"), []byte(minio.AccessKey+":"+minio.SecretKey), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, "", fmt.Sprintf(lakeConfig, secrets, minio.URL))
	d.Operate("connection", "create", "--realm", "demo", "lake", "--uri", minio.URL, "--sigv4-role-arn", "arn:aws:iam::210987654321:role/lake",
		"--region", miniotest.Region, "--signing-name", "s3")
	return d
}

func startLake(t *testing.T, args ...string) *lakeProxy {
	t.Helper()
	l := &lakeProxy{minio: miniotest.Start(t), log: &capture.Buffer{}}
	d := lakeDaemon(t, l.minio)
	l.run(t, d, args)
	l.plain = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(d.Dir, "p", "lake.sock"))
	}}}
	at := regexp.MustCompile(`at=(127\.0\.0\.1:\d+)`).FindStringSubmatch(l.log.String())
	token, err := os.ReadFile(filepath.Join(d.Dir, "p", "token"))
	if err != nil || at == nil {
		t.Fatalf("%v\n%s", err, l.log)
	}
	options := func(url string, keys aws.CredentialsProvider, c *http.Client) s3.Options {
		o := s3.Options{Region: "eu-central-1", BaseEndpoint: aws.String(url), UsePathStyle: true, Credentials: keys, RetryMaxAttempts: 1}
		if c != nil {
			o.HTTPClient = c
		}
		return o
	}
	l.socket = s3.New(options("http://lake", aws.AnonymousCredentials{}, l.plain))
	l.address = s3.New(options("http://"+at[1], credentials.NewStaticCredentialsProvider(strings.TrimSpace(string(token)), "any", ""), nil))
	l.nobody = s3.New(options(l.minio.URL, aws.AnonymousCredentials{}, nil))
	if _, err := l.socket.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	return l
}

// run runs the proxy, on a socket and on a loopback address.
func (l *lakeProxy) run(t *testing.T, d *daemon, args []string) {
	t.Helper()
	cmd := exec.Command(d.Command, append([]string{"proxy", "--realm", "demo", "--dir", "p", "--connection", "lake", "--connection", "lake=127.0.0.1:0"}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = d.Dir, l.log, l.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-done
		if t.Failed() {
			t.Logf("log of the proxy:\n%s", l.log)
		}
	})
	for end := time.Now().Add(readyTimeout); strings.Count(l.log.String(), ": listening") < 2; time.Sleep(20 * time.Millisecond) {
		select {
		case <-done:
			t.Fatalf("the proxy ended:\n%s", l.log)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("the proxy is not ready:\n%s", l.log)
		}
	}
}

// A client of S3 without a key of it does all that clients do, with awkward names too; the proxy has its requests signed.
func TestProxyToS3(t *testing.T) {
	t.Parallel()
	l := startLake(t)
	for form, c := range map[string]*s3.Client{"socket": l.socket, "address": l.address} {
		for _, name := range []string{"plain", "a b", "a+b", "a:b", "a%b", "a%2Fb", "a=b&c?d#e", "(a)!*'~@,;", "folder/ሴ/ü", "a/../b", "[x]|^`\\\""} {
			key := form + "/" + name
			if err := put(c, key); err != nil {
				if strings.Contains(name, "..") || strings.Contains(name, `\`) { // the server takes no such names
					if code(err) == "SignatureDoesNotMatch" {
						t.Errorf("put %q: %v", key, err)
					}
					continue
				}
				t.Errorf("put %q: %v", key, err)
				continue
			}
			if err := get(c, key); err != nil {
				t.Errorf("get %q: %v", key, err)
			}
			if err := get(l.nobody, key); code(err) != "AccessDenied" {
				t.Errorf("%q can be had without a signature: %v", key, err)
			}
			out, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String(key), Delimiter: aws.String("+")})
			if err != nil || len(out.Contents)+len(out.CommonPrefixes) != 1 {
				t.Errorf("list %q: %v", key, err)
			}
			if _, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)}); err != nil {
				t.Errorf("head %q: %v", key, err)
			}
			if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)}); err != nil {
				t.Errorf("delete %q: %v", key, err)
			}
		}
	}
	if log := l.log.String(); strings.Contains(log, l.minio.SecretKey) || strings.Contains(log, "Signature=") || strings.Contains(log, "list-type") {
		t.Error("the log has a secret or a query")
	}
}

// An upload in parts, with headers that are signed along.
func TestProxyMultipart(t *testing.T) {
	t.Parallel()
	l := startLake(t)
	c, key := l.socket, aws.String("in parts")
	begun, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: key, Metadata: map[string]string{"who": "a  b"}})
	if err != nil {
		t.Fatal(err)
	}
	var whole bytes.Buffer
	var parts []types.CompletedPart
	for i, size := range []int{5 << 20, 6 << 20, 1} {
		part := bytes.Repeat([]byte{byte('a' + i)}, size)
		whole.Write(part)
		done, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: aws.String(bucket), Key: key, UploadId: begun.UploadId, PartNumber: aws.Int32(int32(i + 1)), Body: bytes.NewReader(part)})
		if err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
		parts = append(parts, types.CompletedPart{ETag: done.ETag, PartNumber: aws.Int32(int32(i + 1)), ChecksumCRC32: done.ChecksumCRC32})
	}
	if _, err := c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: key, UploadId: begun.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}); err != nil {
		t.Fatal(err)
	}
	got, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if raw, err := io.ReadAll(got.Body); err != nil || !bytes.Equal(raw, whole.Bytes()) || got.Metadata["who"] == "" {
		t.Errorf("%d bytes of %d, %v %v", len(raw), whole.Len(), got.Metadata, err)
	}
	ranged, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: key, Range: aws.String("bytes=5242879-5242880")})
	if err != nil {
		t.Fatal(err)
	}
	defer ranged.Body.Close()
	if raw, err := io.ReadAll(ranged.Body); err != nil || string(raw) != "ab" {
		t.Errorf("a range: %q %v", raw, err)
	}
}

// A client that says no hash of its body has it kept up to the bound, beyond which nothing reaches the server; one that says
// it, as the SDK does, has it streamed.
func TestProxyBoundsWhatItKeeps(t *testing.T) {
	t.Parallel()
	l := startLake(t, "--max-body", "1KiB")
	upload := func(key string, size int) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://lake/"+bucket+"/"+key, bytes.NewReader(make([]byte, size)))
		if err != nil {
			t.Fatal(err)
		}
		res, err := l.plain.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	if status := upload("kept", 1<<10); status != http.StatusOK {
		t.Errorf("without a hash: %d", status)
	}
	if status := upload("refused", 1<<10+1); status != http.StatusRequestEntityTooLarge {
		t.Errorf("without a hash, too long: %d", status)
	}
	for name, c := range map[string]*s3.Client{"streamed-1": l.socket, "streamed-2": l.address} {
		if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(name), Body: bytes.NewReader(make([]byte, 1<<20))}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	out, err := l.socket.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, x := range out.Contents {
		got[*x.Key] = *x.Size
	}
	if want := map[string]int64{"kept": 1 << 10, "streamed-1": 1 << 20, "streamed-2": 1 << 20}; !maps.Equal(got, want) {
		t.Errorf("there is %v", got)
	}
}
