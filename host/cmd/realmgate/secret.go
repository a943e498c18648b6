package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/sdk"
)

type secretCmd struct {
	ListStores secretListStores `cmd:"" help:"List the secret stores of the configuration, and which paths are granted to which realm."`
	Get        secretGet        `cmd:"" help:"Say whether a secret is there, with its version and length; --reveal prints it."`
	Put        secretPut        `cmd:"" help:"Write a secret, from standard input or, on a terminal, as it is typed in without being shown."`
	Delete     secretDelete     `cmd:"" help:"Delete a secret with all its versions. That there is none is no failure."`
}

type secretListStores struct{ door }

// Run lists the stores.
func (s secretListStores) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := s.client(c, std)
	if err != nil {
		return err
	}
	all, err := cl.SecretStores(ctx)
	if err != nil {
		return err
	}
	return s.print(std, all, func(w io.Writer) {
		row(w, "NAME", "WRITABLE", "OPERATOR ONLY", "GRANTS")
		for _, x := range all {
			var grants []string
			for _, g := range x.Grants {
				grants = append(grants, g.Realm+":"+g.Prefix)
			}
			row(w, x.Name, x.Writable, x.OperatorOnly, list(grants))
		}
	})
}

// secretName names a secret, or a part of one.
type secretName struct {
	door
	Reference string `arg:"" placeholder:"REFERENCE" help:"urn:realmgate-secret:STORE:PATH[?=version=N][#FIELD]; STORE:PATH is short for it."`
}

// wholeSecret names a secret that is written or deleted as a whole.
type wholeSecret struct {
	door
	Reference string `arg:"" placeholder:"REFERENCE" help:"urn:realmgate-secret:STORE:PATH; STORE:PATH is short for it."`
}

func (s secretName) ref() (sdk.SecretRef, error)  { return parseRef(s.Reference) }
func (s wholeSecret) ref() (sdk.SecretRef, error) { return parseRef(s.Reference) }

func parseRef(text string) (sdk.SecretRef, error) {
	if !strings.HasPrefix(text, "urn:") {
		text = "urn:realmgate-secret:" + text
	}
	ref, err := sdk.ParseSecretRef(text)
	if err != nil {
		return sdk.SecretRef{}, fmt.Errorf("the reference: %w", err)
	}
	return ref, nil
}

type secretGet struct {
	secretName
	Reveal bool `help:"Print the secret itself, byte by byte; on a terminal with a newline behind it."`
}

// Run shows the secret, or that there is one.
func (s secretGet) Run(ctx context.Context, c *cli, std streams) error {
	ref, err := s.ref()
	if err != nil {
		return err
	}
	cl, err := s.client(c, std)
	if err != nil {
		return err
	}
	got, err := cl.Secret(ctx, ref, s.Reveal)
	if err != nil {
		return err
	}
	if !s.Reveal || s.JSON {
		return s.print(std, got, func(w io.Writer) { secretRows(w, got, "[secret]") })
	}
	value := got.Reveal()
	if term.IsTerminal(int(std.out.Fd())) {
		value = append(value, '\n')
	}
	_, err = std.out.Write(value)
	return err
}

func secretRows(w io.Writer, s admin.StoredSecret, value string) {
	row(w, "reference", s.Reference)
	if s.Version != "" {
		row(w, "version", s.Version)
	}
	row(w, "bytes", s.Bytes)
	if value != "" {
		row(w, "value", value)
	}
}

type secretPut struct {
	wholeSecret
	Raw bool `help:"Keep every byte; without it one newline at the end does not belong to the secret."`
}

// Run writes the secret.
func (s secretPut) Run(ctx context.Context, c *cli, std streams) error {
	ref, err := s.ref()
	if err != nil {
		return err
	}
	cl, err := s.client(c, std)
	if err != nil {
		return err
	}
	value, err := s.read(std)
	if err != nil {
		return err
	}
	put, err := cl.PutSecret(ctx, ref, value)
	if err != nil {
		return err
	}
	return s.print(std, put, func(w io.Writer) { secretRows(w, put, "") })
}

// maxSecretInput is more than any store takes.
const maxSecretInput = 1 << 20

// read takes the secret from standard input; at a terminal it is asked for twice.
func (s secretPut) read(std streams) ([]byte, error) {
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		ask := func(prompt string) ([]byte, error) {
			fmt.Fprint(std.err, prompt)
			typed, err := term.ReadPassword(fd)
			fmt.Fprintln(std.err)
			return typed, err
		}
		value, err := ask("Secret (it is not shown): ")
		if err != nil {
			return nil, err
		}
		again, err := ask("Once more: ")
		if err == nil && !bytes.Equal(value, again) {
			err = errors.New("both are not the same; nothing was written")
		}
		if err == nil && len(value) == 0 {
			err = errors.New("nothing was typed in; nothing was written")
		}
		return value, err
	}
	value, err := io.ReadAll(io.LimitReader(os.Stdin, maxSecretInput+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the secret: %w", err)
	case len(value) > maxSecretInput:
		return nil, fmt.Errorf("the secret is longer than %d bytes", maxSecretInput)
	case len(value) == 0:
		return nil, errors.New("standard input is empty: a secret is wanted there")
	case s.Raw:
		return value, nil
	}
	return bytes.TrimSuffix(value, []byte("\n")), nil
}

type secretDelete struct{ wholeSecret }

// Run deletes the secret.
func (s secretDelete) Run(ctx context.Context, c *cli, std streams) error {
	ref, err := s.ref()
	if err != nil {
		return err
	}
	cl, err := s.client(c, std)
	if err != nil {
		return err
	}
	if err := cl.DeleteSecret(ctx, ref); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.err, "realmgate: there is no secret at %s any more\n", ref) // perhaps there was none before: stores do not say
	return err
}
