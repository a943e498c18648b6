package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/explain"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/sdk"
)

// explain tells how the daemon decides, with a line in the audit log before anybody hears of it, and one before plugins of another
// configuration are started.
func (r *rooms) explain(ctx context.Context, q admin.ExplainRequest) (admin.Explained, error) {
	out, req, line, err := r.explainHere(ctx, q)
	if err != nil {
		return admin.Explained{}, err
	}
	if len(q.Config) == 0 {
		return out, r.audit.Record(ctx, line)
	}
	line.Change = "against " + strings.Join(q.Config, ", ")
	return out, r.audit.Around(ctx, line, func() error { return r.explainBeside(ctx, q, req, &out) }, nil)
}

// explainHere explains by what serves, and gives the request that it made of the question.
func (r *rooms) explainHere(ctx context.Context, q admin.ExplainRequest) (out admin.Explained, req sdk.Request, line audit.Event, err error) {
	gen, leave := r.holder.Enter()
	defer leave()
	realm, chosen, err := realmOf(gen.Config(), q)
	if err != nil {
		return out, req, line, err
	}
	req = sdk.Request{Scheme: strings.ToLower(q.Scheme), Token: q.Token}
	if req.Scheme == "" {
		req.Scheme = "bearer"
	}
	req.HTTP = messageOf(q.HTTP)
	d, e := explain.Decide(ctx, gen, realm, req)
	e.Chosen = chosen
	out.Explanation = e
	line = audit.Event{Name: audit.DecisionExplain, Outcome: audit.Done, Realm: realm, PrincipalID: d.Principal.ID, Principal: d.Principal.Name, TokenID: e.TokenID, Detail: e.Verdict}
	return out, req, line, nil
}

// realmOf finds the realm that is asked about.
func realmOf(cfg *config.Config, q admin.ExplainRequest) (realm, chosen string, err error) {
	realm, chosen = q.Realm, "it was named by whoever asks for this explanation"
	if q.Host != "" {
		at := slices.IndexFunc(cfg.Realms, func(r config.Realm) bool { return slices.Contains(r.Hosts, strings.ToLower(q.Host)) })
		if at < 0 {
			return "", "", &admin.Error{Status: http.StatusNotFound, Code: admin.CodeNotFound, Message: fmt.Sprintf("no realm has the host %q", q.Host), Field: "host"}
		}
		realm, chosen = cfg.Realms[at].Name, fmt.Sprintf("the host %q leads to it", q.Host)
	}
	for _, r := range cfg.Realms {
		if r.Name == realm {
			ways := "requests reach it by the path /realms/" + realm + "/v1/check"
			if len(r.Hosts) > 0 {
				ways += " and the hosts " + strings.Join(r.Hosts, ", ")
			}
			return realm, chosen + "; " + ways, nil
		}
	}
	return "", "", &admin.Error{Status: http.StatusNotFound, Code: admin.CodeNotFound, Message: fmt.Sprintf("there is no such realm: %q", realm), Field: "realm"}
}

// explainBeside adds how another configuration decides, and how that differs.
func (r *rooms) explainBeside(ctx context.Context, q admin.ExplainRequest, req sdk.Request, out *admin.Explained) error {
	wrong := func(err error) error {
		return &admin.Error{Status: http.StatusBadRequest, Code: admin.CodeInvalid, Field: "config", Message: err.Error()}
	}
	for _, path := range q.Config {
		if !filepath.IsAbs(path) {
			return wrong(fmt.Errorf("%s is not an absolute path", path))
		}
	}
	cfg, diags := read(q.Config, nil)
	if err := diags.Err(); err != nil {
		return wrong(err)
	}
	realm, chosen, err := realmOf(cfg, q)
	if err != nil {
		return err
	}
	err = r.reloader.Beside(ctx, cfg, func(gen *generation.Generation) error {
		_, e := explain.Decide(ctx, gen, realm, req)
		e.Chosen = chosen
		out.Other, out.Differences = &e, explain.Differences(out.Explanation, e)
		return nil
	})
	return wrongUnless(err, wrong)
}

// wrongUnless leaves an error that has words for the API already as it is.
func wrongUnless(err error, wrong func(error) error) error {
	if _, worded := errors.AsType[*admin.Error](err); worded || err == nil {
		return err
	}
	return wrong(err)
}

type explainCmd struct {
	Realm   string   `short:"r" xor:"realm" env:"REALMGATE_CLI_REALM" help:"The realm."`
	Host    string   `xor:"realm" help:"A host whose realm is meant, in place of --realm."`
	Scheme  string   `default:"bearer" help:"The authentication scheme of the credential."`
	Against []string `name:"against" placeholder:"PATH" sep:"," type:"path" help:"Also show how this other configuration (a file or a folder) decides on the same token, and what differs. It is built beside the one that serves."`
	Request bool     `help:"Standard input has a whole HTTP request, for parts that look at it (signatures): request line and headers, of which Authorization is the credential."`
	door
}

// Help is kong's.
func (explainCmd) Help() string {
	return `The token is read from standard input, with or without the word Bearer before it:

    realmgate explain --realm demo < token

What is shown has no token and no secret.`
}

// Run asks the daemon how it decides, and prints that. Whatever the decision is, the command has done its part: exit code 0.
func (e explainCmd) Run(ctx context.Context, c *cli, std streams) error {
	if e.Realm == "" && e.Host == "" {
		return wrongUsage("either --realm or --host is needed")
	}
	q := admin.ExplainRequest{Realm: e.Realm, Host: e.Host, Scheme: e.Scheme, Config: e.Against}
	var err error
	if e.Request {
		err = readRequest(os.Stdin, &q)
	} else {
		q.Token, err = readToken(os.Stdin, std.err)
	}
	if err != nil {
		return err
	}
	cl, err := e.client(c, std)
	if err != nil {
		return err
	}
	got, err := cl.Explain(ctx, q)
	if err != nil {
		return err
	}
	if e.JSON {
		return e.print(std, got, nil)
	}
	w := bufio.NewWriter(std.out)
	explanationText(w, got)
	return w.Flush()
}

// maxCredential bounds what is read as a token.
const maxCredential = 48 << 10

// readToken reads a credential, of which a person at a terminal is asked.
func readToken(in *os.File, prompt io.Writer) (string, error) {
	if term.IsTerminal(int(in.Fd())) {
		fmt.Fprint(prompt, "token: ")
		b, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(prompt)
		if err != nil {
			return "", fmt.Errorf("read the token: %w", err)
		}
		return tokenOf(string(b))
	}
	b, err := io.ReadAll(io.LimitReader(in, maxCredential+1))
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	return tokenOf(string(b))
}

func tokenOf(s string) (string, error) {
	if len(s) > maxCredential {
		return "", fmt.Errorf("the token on standard input is longer than %d bytes", maxCredential)
	}
	s = strings.TrimSpace(s)
	if len(s) > 7 && strings.EqualFold(s[:7], "bearer ") {
		s = strings.TrimSpace(s[7:])
	}
	if s == "" {
		return "", errors.New("there is no token on standard input, e.g.: realmgate explain --realm demo < token")
	}
	return s, nil
}
