package login

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/realmgate/realmgate/plugins/aws/awsiam"
	"github.com/realmgate/realmgate/plugins/aws/awssig"
)

// The forms of a proof: a presigned URL as aws-iam-authenticator's clients make it, and the fields of a login with Vault's AWS
// method.
const (
	FormK8s   = "k8s"
	FormVault = "vault"
)

// life is for how long STS takes a signed request.
const life = 15 * time.Minute

// Options say what a proof is for.
type Options struct {
	Audience       string // what the tenant has in audience
	AudienceHeader string // what the tenant has in audience_header; empty: the form's own
	Region         string
	Endpoint       string // URL of STS; empty: that of AWS in the region
	Form           string
	Now            time.Time
}

// Token is a proof, to be used as a bearer token.
type Token struct {
	Value   string    `json:"token"`
	Expires time.Time `json:"expires_at"`
}

// New makes a proof. It sends nothing.
func New(ctx context.Context, c aws.Credentials, o Options) (Token, error) {
	switch {
	case o.Audience == "":
		return Token{}, errors.New("an audience is needed: what the tenant has in audience")
	case o.Region == "":
		return Token{}, errors.New("a region is needed: --region, AWS_REGION, or region in the profile")
	}
	endpoint, err := o.endpoint(ctx)
	if err != nil {
		return Token{}, err
	}
	build, header := presigned, "x-k8s-aws-id"
	switch o.Form {
	case FormK8s:
	case FormVault:
		build, header = vault, "x-vault-aws-iam-server-id"
	default:
		return Token{}, fmt.Errorf("there is no form %q, but %s and %s", o.Form, FormK8s, FormVault)
	}
	if o.AudienceHeader != "" {
		header = o.AudienceHeader
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint+"/", nil)
	if err != nil {
		return Token{}, err
	}
	r.Header.Set(header, o.Audience)
	t := Token{Expires: o.Now.UTC().Truncate(time.Second).Add(life)}
	if c.CanExpire && c.Expires.Before(t.Expires) {
		t.Expires = c.Expires.UTC()
	}
	if t.Value, err = build(ctx, c, o, r); err != nil {
		return Token{}, err
	}
	return t, nil
}

func (o Options) endpoint(ctx context.Context) (string, error) {
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return "", fmt.Errorf("%q is not the URL of an STS endpoint", o.Endpoint)
		}
		return u.Scheme + "://" + u.Host, nil
	}
	e, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, sts.EndpointParameters{Region: &o.Region})
	if err != nil {
		return "", fmt.Errorf("region %s: %w", o.Region, err)
	}
	return e.URI.Scheme + "://" + e.URI.Host, nil
}

var question = url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}

func presigned(ctx context.Context, c aws.Credentials, o Options, r *http.Request) (string, error) {
	r.URL.RawQuery = question.Encode() + "&" + awssig.ParamExpires + "=" + strconv.Itoa(int(life.Seconds()))
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, c, r, awssig.EmptyPayload, "sts", o.Region, o.Now)
	if err != nil {
		return "", err
	}
	return awsiam.PrefixK8s + base64.RawURLEncoding.EncodeToString([]byte(signed)), nil
}

func vault(ctx context.Context, c aws.Credentials, o Options, r *http.Request) (string, error) {
	body := []byte(question.Encode())
	r.Method, r.ContentLength, r.Body = http.MethodPost, int64(len(body)), io.NopCloser(bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	hash := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, c, r, hex.EncodeToString(hash[:]), "sts", o.Region, o.Now); err != nil {
		return "", err
	}
	r.Header.Set("Host", r.URL.Host)
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return VaultToken(r.Method, r.URL.String(), body, r.Header)
}

// VaultToken puts a signed request into the form of Vault's login, as a bearer token.
func VaultToken(method, url string, body []byte, header http.Header) (string, error) {
	headers, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	fields, err := json.Marshal(map[string]string{
		"iam_http_request_method": method,
		"iam_request_url":         base64.StdEncoding.EncodeToString([]byte(url)),
		"iam_request_body":        base64.StdEncoding.EncodeToString(body),
		"iam_request_headers":     base64.StdEncoding.EncodeToString(headers),
	})
	if err != nil {
		return "", err
	}
	return awsiam.PrefixVault + base64.RawURLEncoding.EncodeToString(fields), nil
}
