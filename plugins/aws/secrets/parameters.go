package secrets

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/realmgate/realmgate/plugins/aws/client"
	"github.com/realmgate/realmgate/sdk"
)

// Parameters resolves references into the parameter store of AWS Systems Manager. The path of a reference is the parameter's
// name, without the slash that a name with slashes begins with, its version a number or a label.
type Parameters struct{ *store }

// NewParameters checks the settings. The service is asked when a secret is first wanted.
func NewParameters(ctx context.Context, _ sdk.Setup, s Settings) (*Parameters, error) {
	st, err := newStore(ctx, "aws-ssm-parameters", s)
	if err != nil {
		return nil, err
	}
	return &Parameters{store: st}, nil
}

// parameter gives the name that the service knows. A version is not a part of it: a parameter has one path.
func parameter(path string) (string, error) {
	switch {
	case strings.Contains(path, ":"):
		return "", errors.New("a parameter's name has no colon: a version is written as ?=version=3, with its number or a label")
	case len(path) >= maxName:
		return "", errors.New("no parameter has so long a name")
	case strings.Contains(path, "/"):
		return "/" + path, nil
	}
	return path, nil
}

func (p *Parameters) service(ctx context.Context) (*ssm.Client, error) {
	keys, err := p.keys(ctx)
	if err != nil {
		return nil, err
	}
	e := p.settings.endpoint()
	return ssm.New(ssm.Options{
		Region: p.settings.Region, HTTPClient: p.http, Retryer: client.Retryer(), BaseEndpoint: e.Base(),
		EndpointOptions: ssm.EndpointResolverOptions{UseFIPSEndpoint: e.State()},
		Credentials:     credentials.StaticCredentialsProvider{Value: keys},
	}), nil
}

// Resolve gives the current version of a parameter, or the one of a number or a label.
func (p *Parameters) Resolve(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	name, err := parameter(ref.Path())
	if err != nil {
		return sdk.Secret{}, err
	}
	if ref.Version() != "" {
		name += ":" + ref.Version()
	}
	c, err := p.service(ctx)
	if err != nil {
		return sdk.Secret{}, err
	}
	out, err := c.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(name), WithDecryption: aws.Bool(true)})
	if err != nil {
		return sdk.Secret{}, client.FailureOf("Systems Manager", err)
	}
	if out.Parameter == nil || out.Parameter.Value == nil {
		return sdk.Secret{}, errors.New("the answer of Systems Manager has no value")
	}
	value := []byte(*out.Parameter.Value)
	if err := bounded(value); err != nil {
		return sdk.Secret{}, err
	}
	s := sdk.NewSecret(value)
	s.Version = strconv.FormatInt(out.Parameter.Version, 10)
	return s, nil
}

// WriteSecret writes a new version of a parameter of the type SecureString.
func (p *Parameters) WriteSecret(ctx context.Context, ref sdk.SecretRef, value []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	name, err := parameter(ref.Path())
	if err := errors.Join(err, bounded(value)); err != nil {
		return "", err
	}
	if !utf8.Valid(value) || len(value) == 0 {
		return "", errors.New("a parameter holds text in UTF-8, and at least one character of it")
	}
	c, err := p.service(ctx)
	if err != nil {
		return "", err
	}
	in := &ssm.PutParameterInput{
		Name: aws.String(name), Value: aws.String(string(value)), Type: types.ParameterTypeSecureString, Overwrite: aws.Bool(true),
		Tier: types.ParameterTierIntelligentTiering,
	}
	if p.settings.KMSKeyID != "" {
		in.KeyId = aws.String(p.settings.KMSKeyID)
	}
	out, err := c.PutParameter(ctx, in)
	if err != nil {
		return "", client.FailureOf("Systems Manager", err)
	}
	return strconv.FormatInt(out.Version, 10), nil
}

// DeleteSecret deletes a parameter with all its versions; one that is not there is no error.
func (p *Parameters) DeleteSecret(ctx context.Context, ref sdk.SecretRef) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	name, err := parameter(ref.Path())
	if err != nil {
		return err
	}
	c, err := p.service(ctx)
	if err != nil {
		return err
	}
	if _, err = c.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: aws.String(name)}); err != nil {
		if f := client.FailureOf("Systems Manager", err); f.Code != "ParameterNotFound" {
			return f
		}
	}
	return nil
}
