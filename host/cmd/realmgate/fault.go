package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/realmgate/realmgate/host/admin"
)

// shownError ends a command whose fault has been printed already.
type shownError struct{ error }

// usageError says that the command line is wrong in a way that the parser cannot see.
type usageError struct{ error }

func wrongUsage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// failed prints why a command failed, and gives its exit code.
func failed(w io.Writer, command string, err error) int {
	var shown shownError
	if errors.As(err, &shown) {
		return 1
	}
	fmt.Fprintln(w, "realmgate:", inFlags(command, err))
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(w, "See realmgate %s --help.\n", command)
		return 2
	}
	return 1
}

// misread prints why a command line cannot be read. Where a command is missing it lists those that there are, all of them.
func misread(w io.Writer, err error) int {
	var parse *kong.ParseError
	at := []string{"realmgate"}
	var missing []string
	if errors.As(err, &parse) {
		var node *kong.Node
		for _, p := range parse.Context.Path {
			if p.Command != nil {
				node = p.Command
				at = append(at, node.Name)
			}
		}
		if node != nil && strings.HasPrefix(err.Error(), "expected one of") {
			for _, c := range node.Children {
				missing = append(missing, c.Name)
			}
		}
	}
	if len(missing) > 0 {
		err = fmt.Errorf("a command is missing: %s", strings.Join(missing, ", "))
	}
	fmt.Fprintf(w, "realmgate: %v\nSee %s --help.\n", err, strings.Join(at, " "))
	return 2
}

// fieldFlags says which flag or argument of the commands about connections gives a field of the API.
var fieldFlags = map[string]string{
	"name": "NAME", "version": "--if-version", "catalog.entityVersion": "--if-version", "If-Match": "--if-version", "field": "--secret", "value": "--secret", "identity": "IDENTITY",
	"narrowTo": "--narrow-to", "minLifetimeSeconds": "--min-lifetime", "method": "METHOD", "uri": "TARGET", "headers": "--header", "payloadSha256": "--payload-file or --payload-sha256",
	"presign": "--presign", "expiresInSeconds": "--expires", "properties": "--property", "signHosts": "--sign-host",
	"connectionConfigInfo.uri": "--uri", "connectionConfigInfo.connectionType": "--type", "connectionConfigInfo.remoteCatalogName": "--remote-catalog-name",
	"connectionConfigInfo.warehouse": "--warehouse",
}

// parameterFlags are those of connectionConfigInfo.authenticationParameters.
var parameterFlags = map[string]string{
	"authenticationType": "--auth", "tokenUri": "--oauth-token-uri", "clientId": "--oauth-client-id", "scopes": "--oauth-scope", "clientSecret": "--secret", "bearerToken": "--secret",
	"secretAccessKey": "--secret", "sessionToken": "--secret", "roleArn": "--sigv4-role-arn", "roleSessionName": "--sigv4-session-name", "externalId": "--sigv4-external-id",
	"sessionPolicy": "--sigv4-session-policy-file", "accessKeyId": "--sigv4-access-key-id", "signingRegion": "--region", "signingName": "--signing-name",
}

// inFlags names the flag of the field that a daemon refuses, beside the field itself, which a file may have.
func inFlags(command string, err error) error {
	var e *admin.Error
	if !strings.HasPrefix(command, "connection ") || !errors.As(err, &e) || e.Field == "" {
		return err
	}
	field := strings.TrimPrefix(e.Field, "catalog.")
	base, _, _ := strings.Cut(field, "[")
	flag := fieldFlags[base]
	if name, ok := strings.CutPrefix(base, "connectionConfigInfo.authenticationParameters."); ok {
		flag = parameterFlags[name]
	}
	for _, prefix := range []string{"headers.", "properties."} {
		if strings.HasPrefix(field, prefix) {
			flag = fieldFlags[strings.TrimSuffix(prefix, ".")]
		}
	}
	switch {
	case flag == "":
		return err
	case strings.EqualFold(strings.TrimLeft(flag, "-"), field):
		return fmt.Errorf("%s: %s", flag, e.Message)
	}
	return fmt.Errorf("%s (%s): %s", flag, e.Field, e.Message)
}
