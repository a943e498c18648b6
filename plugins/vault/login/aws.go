package login

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/sdk"
)

// AWS is the login with an IAM identity: a signed request to STS, which the server sends.
type AWS struct {
	Role        string        `json:"role" doc:"the method's role"`
	Region      string        `json:"region" default:"us-east-1" doc:"region of the STS that the signature is for. The server's own configuration says which one it asks: both must agree"`
	Endpoint    string        `json:"sts_host,omitempty" doc:"host of that STS, if not sts.<region>.amazonaws.com (sts.amazonaws.com for us-east-1)"`
	ServerID    string        `json:"server_id,omitempty" doc:"the X-Vault-AWS-IAM-Server-ID that the server demands. Set it: without it, a signature for this server works at another one too"`
	Credentials sdk.SecretRef `json:"credentials,omitempty" doc:"reference to the keys, in another store: JSON with access_key_id, secret_access_key and perhaps session_token. Without it, the default credential chain of the plugin's environment"`
	Mount       string        `json:"mount" default:"aws" doc:"where the method is mounted"`
}

var (
	regionPattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
	hostPattern   = regexp.MustCompile(`^[a-z0-9.-]+(:[0-9]+)?$`)
)

func (s *AWS) check() error {
	faults := []error{checkMount(s.Mount), checkRole(s.Role)}
	if !regionPattern.MatchString(s.Region) {
		faults = append(faults, sdk.At(errors.New("it is not the name of a region, e.g. eu-central-1"), "region"))
	}
	if s.Endpoint != "" && !hostPattern.MatchString(s.Endpoint) {
		faults = append(faults, sdk.At(errors.New("it is not a host"), "sts_host"))
	}
	return errors.Join(faults...)
}

type iam struct {
	AWS

	mu    sync.Mutex
	chain aws.CredentialsProvider
}

const identityBody = "Action=GetCallerIdentity&Version=2011-06-15"

// proof is the keys as their store has them; that which the default chain gives is left to it.
func (m *iam) proof(ctx context.Context) (string, error) {
	if m.Credentials.IsZero() {
		return "", nil
	}
	secret, err := m.Credentials.Value(ctx)
	if err != nil {
		return "", fmt.Errorf("the AWS login: credentials: %w", err)
	}
	return string(secret.Reveal()), nil
}

func (m *iam) login(ctx context.Context, c *client.Client, stored string) (grant, error) {
	keys, err := m.keys(ctx, stored)
	if err != nil {
		return grant{}, fmt.Errorf("the AWS login: %w", err)
	}
	r, err := m.signed(ctx, keys, time.Now())
	if err != nil {
		return grant{}, fmt.Errorf("the AWS login: the request to STS cannot be signed: %w", err)
	}
	header, err := json.Marshal(r.Header)
	if err != nil {
		return grant{}, err
	}
	text := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	g, err := ask(ctx, c, m.Mount, map[string]any{
		"role": m.Role, "iam_http_request_method": r.Method, "iam_request_url": text(r.URL.String()), "iam_request_body": text(identityBody),
		"iam_request_headers": text(string(header)),
	})
	if err != nil {
		return grant{}, fmt.Errorf("the AWS login with role %s: %w", m.Role, err)
	}
	return g, nil
}

// signed is the request that proves the identity to whoever sends it.
func (m *iam) signed(ctx context.Context, keys aws.Credentials, now time.Time) (*http.Request, error) {
	host := m.Endpoint
	switch {
	case host != "":
	case m.Region == "us-east-1":
		host = "sts.amazonaws.com"
	default:
		host = "sts." + m.Region + ".amazonaws.com"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+host+"/", strings.NewReader(identityBody))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("Content-Length", fmt.Sprint(len(identityBody)))
	if m.ServerID != "" {
		r.Header.Set("X-Vault-AWS-IAM-Server-ID", m.ServerID)
	}
	sum := sha256.Sum256([]byte(identityBody))
	if err := v4.NewSigner().SignHTTP(ctx, keys, r, hex.EncodeToString(sum[:]), "sts", m.Region, now); err != nil {
		return nil, err
	}
	r.Header.Set("Host", r.URL.Host)
	return r, nil
}

func (m *iam) keys(ctx context.Context, stored string) (aws.Credentials, error) {
	if m.Credentials.IsZero() {
		return m.fromChain(ctx)
	}
	var k struct {
		ID      string `json:"access_key_id"`
		Secret  string `json:"secret_access_key"`
		Session string `json:"session_token"`
	}
	if json.Unmarshal([]byte(stored), &k) != nil || k.ID == "" || k.Secret == "" {
		return aws.Credentials{}, fmt.Errorf("credentials (%s): JSON with access_key_id and secret_access_key is wanted", m.Credentials)
	}
	return aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret, SessionToken: k.Session}, nil
}

func (m *iam) fromChain(ctx context.Context) (aws.Credentials, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.chain == nil {
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return aws.Credentials{}, fmt.Errorf("the default credential chain: %w", err)
		}
		m.chain = cfg.Credentials
	}
	keys, err := m.chain.Retrieve(ctx)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("the default credential chain: %w", err)
	}
	return keys, nil
}
