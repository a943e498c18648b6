package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"golang.org/x/term"

	"github.com/realmgate/realmgate/host/connection"
)

// connectionShape is what a connection is made of.
type connectionShape struct {
	File              string   `short:"f" placeholder:"PATH" help:"Read the connection from a JSON file, or with - from standard input."`
	Type              string   `help:"ICEBERG_REST, HADOOP, HIVE or GENERIC_HTTP; of a new connection GENERIC_HTTP without it."`
	URI               string   `name:"uri" help:"Where the remote system is."`
	RemoteCatalogName string   `placeholder:"NAME" help:"Of ICEBERG_REST: the catalog, as it is called there."`
	Warehouse         string   `help:"Of HADOOP and HIVE."`
	Property          []string `sep:"none" placeholder:"KEY=VALUE" help:"Property; may be repeated."`
	SignHost          []string `placeholder:"HOST[:PORT]" help:"Another host for which requests are signed; *.SUFFIX for all below one; may be repeated."`
	Auth              string   `help:"OAUTH, BEARER, IMPLICIT or SIGV4; the flags of one imply it."`

	SigV4RoleARN           string `name:"sigv4-role-arn" placeholder:"ARN" help:"Role that the service identity assumes."`
	SigV4SessionName       string `name:"sigv4-session-name" placeholder:"NAME" help:"Name of the role's session."`
	SigV4ExternalID        string `name:"sigv4-external-id" placeholder:"ID" help:"External id that the role's trust policy asks for."`
	SigV4SessionPolicyFile string `name:"sigv4-session-policy-file" type:"path" placeholder:"PATH" help:"File with an IAM policy that limits the role's session."`
	SigV4AccessKeyID       string `name:"sigv4-access-key-id" placeholder:"ID" help:"Static key instead of a role; its secret by --secret."`
	Region                 string `help:"Region to sign for, e.g. eu-central-1."`
	SigningName            string `placeholder:"NAME" help:"Service to sign for, e.g. glue or s3; execute-api without it."`

	OAuthTokenURI string   `name:"oauth-token-uri" placeholder:"URI" help:"Token endpoint; of ICEBERG_REST the one below the URI without it."`
	OAuthClientID string   `name:"oauth-client-id" placeholder:"ID" help:"Client id; its secret by --secret."`
	OAuthScope    []string `name:"oauth-scope" placeholder:"SCOPE" help:"Scope to ask for; may be repeated."`

	Secret []string `sep:"none" placeholder:"[FIELD=]SOURCE" help:"A secret: - (standard input, asked for at a terminal), @PATH, or a reference urn:realmgate-secret:...; may be repeated with FIELD."`
}

func (s connectionShape) empty() bool { return reflect.ValueOf(s).IsZero() }

// maxConnectionFile is more than the daemon takes.
const maxConnectionFile = 1 << 20

// read reads the file.
func (s connectionShape) read() (map[string]any, error) {
	in := io.Reader(os.Stdin)
	if s.File != "-" {
		f, err := os.Open(s.File)
		if err != nil {
			return nil, fmt.Errorf("--file: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxConnectionFile))
	if err != nil {
		return nil, fmt.Errorf("--file: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var body map[string]any
	if err := d.Decode(&body); err != nil || body == nil {
		return nil, fmt.Errorf("--file: %s is not a JSON object", s.File)
	}
	return body, nil
}

// apply puts the flags over a body, and gives it as JSON.
func (s connectionShape) apply(std streams, body map[string]any, name string, create bool) (json.RawMessage, error) {
	at := body // where the keys of a connection are
	if c, ok := body["catalog"].(map[string]any); ok {
		at = c
	}
	if have, _ := at["name"].(string); name != "" && have != "" && have != name {
		return nil, fmt.Errorf("the file is about %q, not %q", have, name)
	}
	if set(at, "name", name); at["name"] == nil {
		return nil, wrongUsage("the name of the connection is missing")
	}
	info, a, err := s.info(at, create)
	if err != nil {
		return nil, err
	}
	set(info, "uri", s.URI)
	set(info, "remoteCatalogName", s.RemoteCatalogName)
	set(info, "warehouse", s.Warehouse)
	props, err := attributes(s.Property)
	if err != nil {
		return nil, wrongUsage("%s", strings.Replace(err.Error(), "attribute", "property", 1))
	}
	for k, v := range props {
		set(part(at, "properties"), k, v)
	}
	if len(s.SignHost) > 0 {
		at["signHosts"] = s.SignHost
	}
	if err := s.authentication(a); err != nil {
		return nil, err
	}
	if err := s.secrets(std, a, create); err != nil {
		return nil, err
	}
	return json.Marshal(body)
}

// info gives the parts of a body that say where and how.
func (s connectionShape) info(at map[string]any, create bool) (info, a map[string]any, err error) {
	info = part(at, "connectionConfigInfo")
	if set(info, "connectionType", s.Type); info["connectionType"] == nil && s.File == "" {
		info["connectionType"] = connection.TypeGenericHTTP
	}
	auth, err := s.kind()
	if err != nil {
		return nil, nil, err
	}
	a = part(info, "authenticationParameters")
	if have, _ := a["authenticationType"].(string); auth != "" && have != auth {
		a = map[string]any{"authenticationType": auth} // nothing of another type means anything
		info["authenticationParameters"] = a
	}
	if create && a["authenticationType"] == nil {
		return nil, nil, wrongUsage("how to authenticate is missing: --auth OAUTH, BEARER, IMPLICIT or SIGV4, or the flags of one of them")
	}
	return info, a, nil
}

// kind gives the type of authentication that the flags imply.
func (s connectionShape) kind() (string, error) {
	kind := strings.ToUpper(s.Auth)
	for _, x := range []struct {
		kind  string
		given bool
	}{
		{connection.AuthSigV4, s.SigV4RoleARN+s.SigV4SessionName+s.SigV4ExternalID+s.SigV4SessionPolicyFile+s.SigV4AccessKeyID+s.Region+s.SigningName != ""},
		{connection.AuthOAuth, s.OAuthTokenURI+s.OAuthClientID != "" || len(s.OAuthScope) > 0},
	} {
		switch {
		case x.given && kind != "" && kind != x.kind:
			return "", wrongUsage("the flags of %s do not go with %s", x.kind, kind)
		case x.given:
			kind = x.kind
		}
	}
	return kind, nil
}

func (s connectionShape) authentication(a map[string]any) error {
	if s.SigV4RoleARN != "" {
		delete(a, "accessKeyId")
	}
	if s.SigV4AccessKeyID != "" {
		for _, k := range []string{"roleArn", "roleSessionName", "externalId", "sessionPolicy"} {
			delete(a, k)
		}
	}
	if s.SigV4SessionPolicyFile != "" {
		policy, err := os.ReadFile(s.SigV4SessionPolicyFile)
		if err != nil {
			return fmt.Errorf("--sigv4-session-policy-file: %w", err)
		}
		set(a, "sessionPolicy", strings.TrimSpace(string(policy)))
	}
	for k, v := range map[string]string{
		"roleArn": s.SigV4RoleARN, "roleSessionName": s.SigV4SessionName, "externalId": s.SigV4ExternalID, "accessKeyId": s.SigV4AccessKeyID,
		"signingRegion": s.Region, "signingName": s.SigningName, "tokenUri": s.OAuthTokenURI, "clientId": s.OAuthClientID,
	} {
		set(a, k, v)
	}
	if len(s.OAuthScope) > 0 {
		a["scopes"] = s.OAuthScope
	}
	return nil
}

// secrets puts in the secrets that are given, and asks for the one that a new connection cannot do without.
func (s connectionShape) secrets(std streams, a map[string]any, create bool) error {
	wanted := wantedSecret(a)
	input := s.File == "-"
	given := map[string]bool{}
	sources := s.Secret
	if create && len(sources) == 0 && wanted != "" && a[wanted] == nil && !input {
		if !term.IsTerminal(int(os.Stdin.Fd())) {
			return wrongUsage("the secret is missing (%s): --secret - reads it from standard input, --secret @PATH from a file", wanted)
		}
		sources = []string{"-"}
	}
	for _, text := range sources {
		field, source := splitSecret(text)
		if field == "" {
			field = wanted
		}
		switch {
		case field == "":
			return wrongUsage("--secret: this authentication has none; or say which: FIELD=SOURCE")
		case given[field]:
			return wrongUsage("--secret: %s is given twice", field)
		case source == "-" && input:
			return wrongUsage("--secret: standard input cannot be read twice")
		}
		value, err := secretOf(std, source)
		if err != nil {
			return err
		}
		given[field], input = true, input || source == "-"
		a[field] = value
	}
	return nil
}

func wantedSecret(a map[string]any) string {
	switch a["authenticationType"] {
	case connection.AuthOAuth:
		return connection.FieldClientSecret
	case connection.AuthBearer:
		return connection.FieldBearerToken
	case connection.AuthSigV4:
		if a["accessKeyId"] != nil {
			return connection.FieldSecretAccessKey
		}
	}
	return ""
}

// set sets a key unless the value is empty.
func set(m map[string]any, key, value string) {
	if value != "" {
		m[key] = value
	}
}

// part gives the object under a key, made if it is not there.
func part(m map[string]any, key string) map[string]any {
	p, ok := m[key].(map[string]any)
	if !ok {
		p = map[string]any{}
		m[key] = p
	}
	return p
}

// splitSecret splits FIELD=SOURCE; the field may be missing.
func splitSecret(text string) (field, source string) {
	field, source, ok := strings.Cut(text, "=")
	if !ok || field == "" || strings.Trim(field, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "", text
	}
	return field, source
}

// secretOf reads a secret from its source. One on the command line, where everybody on the machine sees it, is refused, and
// not repeated.
func secretOf(std streams, source string) (string, error) {
	path, file := strings.CutPrefix(source, "@")
	switch {
	case source == "-":
		value, err := secretPut{}.read(std)
		return string(value), err
	case file:
		f, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("--secret: %w", err)
		}
		defer func() { _ = f.Close() }()
		value, err := io.ReadAll(io.LimitReader(f, maxSecretInput))
		if err != nil {
			return "", fmt.Errorf("--secret: %w", err)
		}
		return strings.TrimSuffix(string(value), "\n"), nil
	case strings.HasPrefix(source, "urn:realmgate-secret:"), strings.HasPrefix(source, "urn:polaris-secret:"):
		return source, nil
	}
	return "", wrongUsage("--secret takes no secret itself, since others see the command line: write - for standard input, @PATH for a file, or a reference (urn:realmgate-secret:STORE:PATH)")
}
