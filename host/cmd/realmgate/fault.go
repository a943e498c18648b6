package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/config"
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

// misread prints why a command line cannot be read. Where a command is missing it lists those that there are, all of them; one
// that is not where it was looked for is looked for elsewhere.
func misread(w io.Writer, err error) int {
	var parse *kong.ParseError
	at := []string{"realmgate"}
	var missing []string
	if errors.As(err, &parse) {
		node := parse.Context.Model.Node
		for _, p := range parse.Context.Path {
			if p.Command != nil {
				node = p.Command
				at = append(at, node.Name)
			}
		}
		if len(at) > 1 && strings.HasPrefix(err.Error(), "expected one of") {
			missing = commandNames(node)
		}
		if text, ok := strings.CutPrefix(err.Error(), "unexpected argument "); ok && !node.Leaf() {
			err = noCommand(text, parse.Context.Model.Node, node)
		}
	}
	if len(missing) > 0 {
		err = fmt.Errorf("a command is missing: %s", strings.Join(missing, ", "))
	}
	fmt.Fprintf(w, "realmgate: %v\nSee %s --help.\n", err, strings.Join(at, " "))
	return 2
}

// noCommand says where else there is a command of this name, or what commands there are. The text is the parser's: the word, and
// what it is near to at its place, if anything.
func noCommand(text string, root, at *kong.Node) error {
	word, hint, near := strings.Cut(text, ", did you mean ")
	word = strings.Trim(word, `"`)
	if near {
		return fmt.Errorf("there is no command %q, did you mean %s", word, hint)
	}
	var names []string
	paths := map[string][]string{} // of commands, by their last word
	var visit func(n *kong.Node)
	visit = func(n *kong.Node) {
		for _, c := range n.Children {
			names = append(names, c.Name)
			paths[c.Name] = append(paths[c.Name], strconv.Quote(c.FullPath()))
			visit(c)
		}
	}
	visit(root)
	for _, name := range []string{word, config.Suggest(word, names)} {
		switch found := paths[name]; {
		case len(found) == 1:
			return fmt.Errorf("there is no command %q, did you mean %s?", word, found[0])
		case len(found) > 1:
			return fmt.Errorf("there is no command %q, did you mean one of %s?", word, strings.Join(found, ", "))
		}
	}
	return fmt.Errorf("there is no command %q; there are %s", word, strings.Join(commandNames(at), ", "))
}

func commandNames(n *kong.Node) []string {
	out := make([]string, 0, len(n.Children))
	for _, c := range n.Children {
		out = append(out, c.Name)
	}
	return out
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
