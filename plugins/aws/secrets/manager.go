package secrets

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/realmgate/realmgate/plugins/aws/client"
	"github.com/realmgate/realmgate/sdk"
)

// ManagerSettings are those of [Manager].
type ManagerSettings struct {
	Settings
	RecoveryWindow sdk.Duration `json:"recovery_window" default:"PT0S" doc:"for how long a secret that Realmgate deletes can be recovered, P7D to P30D; PT0S deletes it at once. A name is not free again before its end"`
}

// Manager resolves references into AWS Secrets Manager. The path of a reference is the secret's name or ARN, its version a
// staging label or the id of a version.
type Manager struct {
	*store
	window time.Duration
}

// NewManager checks the settings. The service is asked when a secret is first wanted.
func NewManager(ctx context.Context, _ sdk.Setup, s ManagerSettings) (*Manager, error) {
	st, err := newStore(ctx, "aws-secrets-manager", s.Settings)
	const day = 24 * time.Hour
	if w := s.RecoveryWindow.Std(); w != 0 && (w < 7*day || w > 30*day || w%day != 0) {
		err = errors.Join(err, sdk.At(errors.New("the window is PT0S, or whole days between P7D and P30D"), "recovery_window"))
	}
	if err != nil {
		return nil, err
	}
	return &Manager{store: st, window: s.RecoveryWindow.Std()}, nil
}

var versionID = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)

// arnColons is how many colons the ARN of a secret has: arn:aws:secretsmanager:region:account:secret:name.
const arnColons = 6

// secretID gives what the service knows a secret by. A version is not a part of it: a secret has one path.
func secretID(path string) (string, error) {
	colons := 0
	if strings.HasPrefix(path, "arn:") {
		colons = arnColons
	}
	switch {
	case strings.Count(path, ":") > colons:
		return "", errors.New("a name has no colon, an ARN six: a version is written as ?=version=AWSPREVIOUS, with a staging label or the id of a version")
	case len(path) > maxName:
		return "", errors.New("no secret has so long a name")
	}
	return path, nil
}

func (m *Manager) service(ctx context.Context) (*secretsmanager.Client, error) {
	keys, err := m.keys(ctx)
	if err != nil {
		return nil, err
	}
	e := m.settings.endpoint()
	return secretsmanager.New(secretsmanager.Options{
		Region: m.settings.Region, HTTPClient: m.http, Retryer: client.Retryer(), BaseEndpoint: e.Base(),
		EndpointOptions: secretsmanager.EndpointResolverOptions{UseFIPSEndpoint: e.State()},
		Credentials:     credentials.StaticCredentialsProvider{Value: keys},
	}), nil
}

// Resolve gives the current version of a secret, or the one that is asked for.
func (m *Manager) Resolve(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	name, err := secretID(ref.Path())
	if err != nil {
		return sdk.Secret{}, err
	}
	in := &secretsmanager.GetSecretValueInput{SecretId: aws.String(name)}
	switch v := ref.Version(); {
	case versionID.MatchString(v):
		in.VersionId = aws.String(v)
	case v != "":
		in.VersionStage = aws.String(v)
	}
	c, err := m.service(ctx)
	if err != nil {
		return sdk.Secret{}, err
	}
	out, err := c.GetSecretValue(ctx, in)
	if err != nil {
		return sdk.Secret{}, client.FailureOf("Secrets Manager", err)
	}
	value := out.SecretBinary
	if out.SecretString != nil {
		value = []byte(*out.SecretString)
	}
	if err := bounded(value); err != nil {
		return sdk.Secret{}, err
	}
	s := sdk.NewSecret(value)
	s.Version = aws.ToString(out.VersionId)
	return s, nil
}

// Codes for a secret that is not there, and for one that is there already.
const (
	notFound = "ResourceNotFoundException"
	exists   = "ResourceExistsException"
)

// WriteSecret writes a new version of a secret, makes the secret if need be, and answers the version's id.
func (m *Manager) WriteSecret(ctx context.Context, ref sdk.SecretRef, value []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	name, err := secretID(ref.Path())
	if err := errors.Join(err, bounded(value)); err != nil {
		return "", err
	}
	c, err := m.service(ctx)
	if err != nil {
		return "", err
	}
	text, binary := asText(value)
	put := func() (string, error) {
		out, err := c.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: aws.String(name), SecretString: text, SecretBinary: binary})
		if err != nil {
			return "", failure(err)
		}
		return aws.ToString(out.VersionId), nil
	}
	if version, err := put(); !is(err, notFound) {
		return version, err
	}
	in := &secretsmanager.CreateSecretInput{Name: aws.String(name), SecretString: text, SecretBinary: binary, Description: aws.String("written by Realmgate")}
	if m.settings.KMSKeyID != "" {
		in.KmsKeyId = aws.String(m.settings.KMSKeyID)
	}
	out, err := c.CreateSecret(ctx, in)
	if err = failure(err); is(err, exists) { // somebody else made it in between
		return put()
	}
	if err != nil {
		return "", err
	}
	return aws.ToString(out.VersionId), nil
}

// failure gives what went wrong at the service, nil if nothing did.
func failure(err error) error {
	if err == nil {
		return nil
	}
	return client.FailureOf("Secrets Manager", err)
}

func is(err error, code string) bool {
	var f *client.Failure
	return errors.As(err, &f) && f.Code == code
}

// asText: what is text is written as such, so that people can read it there.
func asText(value []byte) (*string, []byte) {
	if len(value) > 0 && utf8.Valid(value) {
		return aws.String(string(value)), nil
	}
	return nil, value
}

// DeleteSecret deletes a secret with all its versions; one that is not there is no error.
func (m *Manager) DeleteSecret(ctx context.Context, ref sdk.SecretRef) error {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	name, err := secretID(ref.Path())
	if err != nil {
		return err
	}
	c, err := m.service(ctx)
	if err != nil {
		return err
	}
	in := &secretsmanager.DeleteSecretInput{SecretId: aws.String(name)}
	if m.window == 0 {
		in.ForceDeleteWithoutRecovery = aws.Bool(true)
	} else {
		in.RecoveryWindowInDays = aws.Int64(int64(m.window / (24 * time.Hour)))
	}
	_, err = c.DeleteSecret(ctx, in)
	if err = failure(err); is(err, notFound) {
		return nil
	}
	return err
}
