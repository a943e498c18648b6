package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/realmgate/realmgate/host/admin"
	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/config"
	"github.com/realmgate/realmgate/host/explain"
	"github.com/realmgate/realmgate/host/generation"
	"github.com/realmgate/realmgate/host/reload"
	"github.com/realmgate/realmgate/sdk"
)

// explain tells how the daemon decides, with a line in the audit log before anybody hears of it.
func (r *rooms) explain(ctx context.Context, q admin.ExplainRequest) (admin.Explained, error) {
	req := sdk.Request{Scheme: cmp.Or(strings.ToLower(q.Scheme), "bearer"), Token: q.Token, HTTP: messageOf(q.HTTP)}
	chain, err := presented(q, &req)
	if err != nil {
		return admin.Explained{}, err
	}
	out, line, err := r.explainServing(ctx, q, req, chain)
	if err != nil {
		return admin.Explained{}, err
	}
	if len(q.Config) > 0 {
		// Not Audit.Around: an explanation must not leave without its last line either, and a failure names what was begun, too.
		line.Against = strings.Join(q.Config, ",")
		before := audit.Event{Name: line.Name, Outcome: audit.Attempted, Realm: line.Realm, Against: line.Against}
		if err := r.audit.Record(ctx, before); err != nil {
			return admin.Explained{}, err
		}
		begun, err := r.explainBeside(ctx, q, req, chain, &out)
		line.Change = startsOf(begun)
		if err != nil {
			line.Outcome = audit.Failed
			line.Detail, _, _ = strings.Cut(err.Error(), "\n") // the other lines are from the configuration
			_ = r.audit.Record(ctx, line)
			return admin.Explained{}, err
		}
	}
	return out, r.audit.Record(ctx, line)
}

// presented puts the client certificate of a question into the request, and gives it with what is behind it.
func presented(q admin.ExplainRequest, req *sdk.Request) ([]*x509.Certificate, error) {
	if q.ClientCertificate == "" {
		return nil, nil
	}
	chain, err := chainOf(q.ClientCertificate)
	if err != nil {
		return nil, &admin.Error{Status: http.StatusBadRequest, Code: admin.CodeInvalid, Field: "client_certificate", Message: err.Error()}
	}
	req.PeerCertificate = chain[0].Raw
	return chain, nil
}

// startsOf says which plugins were started, in the words of a reload.
func startsOf(plugins []string) string {
	out := make([]string, len(plugins))
	for n, name := range plugins {
		out[n] = "start " + name
	}
	return strings.Join(out, ", ")
}

// explainServing tells how what serves decides, and the line of the audit log about that.
func (r *rooms) explainServing(ctx context.Context, q admin.ExplainRequest, req sdk.Request, chain []*x509.Certificate) (out admin.Explained, line audit.Event, err error) {
	gen, leave := r.holder.Enter()
	defer leave()
	realm, chosen, err := realmOf(gen.Config(), q)
	if err != nil {
		return out, line, err
	}
	_, e := explain.Decide(ctx, gen, realm, req)
	e.Chosen = chosen
	if chain != nil {
		e.Certificate = explainedCertificate(chain, gen.Config().Listeners, time.Now())
	}
	out.Explanation = e
	line = audit.Event{Name: audit.DecisionExplain, Outcome: audit.Done, Realm: realm, TokenID: e.TokenID, Detail: e.Verdict}
	if p := e.Principal; p != nil { // as it is shown: a part may have named it by the token
		line.PrincipalID, line.Principal = p.ID, p.Name
	}
	return out, line, nil
}

// realmOf finds the realm that is asked about.
func realmOf(cfg *config.Config, q admin.ExplainRequest) (realm, chosen string, err error) {
	is := func(r config.Realm) bool { return r.Name == q.Realm }
	known := make([]string, len(cfg.Realms))
	for i, r := range cfg.Realms {
		known[i] = r.Name
	}
	missing := admin.NoRealm(q.Realm, known)
	chosen = "it was named by whoever asks for this explanation"
	if q.Host != "" {
		host := strings.ToLower(q.Host)
		is = func(r config.Realm) bool { return slices.Contains(r.Hosts, host) }
		missing.Message, missing.Field = fmt.Sprintf("no realm has the host %q", q.Host), "host"
		chosen = fmt.Sprintf("the host %q leads to it", q.Host)
	}
	at := slices.IndexFunc(cfg.Realms, is)
	if at < 0 {
		return "", "", missing
	}
	r := cfg.Realms[at]
	chosen += "; requests reach it by the path /realms/" + r.Name + "/v1/check"
	if len(r.Hosts) > 0 {
		chosen += " and the hosts " + strings.Join(r.Hosts, ", ")
	}
	return r.Name, chosen, nil
}

// explainBeside adds how another configuration decides, and how that differs. begun names the plugins that were started for it.
func (r *rooms) explainBeside(ctx context.Context, q admin.ExplainRequest, req sdk.Request, chain []*x509.Certificate, out *admin.Explained) (begun []string, err error) {
	wrong := func(err error) error {
		return &admin.Error{Status: http.StatusBadRequest, Code: admin.CodeInvalid, Field: "config", Message: err.Error()}
	}
	for _, path := range q.Config {
		if !filepath.IsAbs(path) {
			return nil, wrong(fmt.Errorf("%s is not an absolute path", path))
		}
	}
	cfg, diags := read(q.Config, nil)
	if err := diags.Err(); err != nil {
		return nil, wrong(err)
	}
	realm, chosen, err := realmOf(cfg, q) // before any program is started for nothing
	if err != nil {
		return nil, err
	}
	begun, err = r.reloader.Beside(ctx, cfg, func(ctx context.Context, gen *generation.Generation) error {
		_, e := explain.Decide(ctx, gen, realm, req)
		e.Chosen = chosen
		if chain != nil {
			e.Certificate = explainedCertificate(chain, cfg.Listeners, time.Now())
		}
		out.Other, out.Differences = &e, explain.Differences(out.Explanation, e)
		return nil
	})
	switch {
	case errors.Is(err, reload.ErrStopping):
		return begun, stopping(err)
	case err != nil:
		return begun, wrong(err)
	}
	return begun, nil
}

type explainCmd struct {
	Realm   string   `short:"r" xor:"realm" help:"The realm ($$REALMGATE_CLI_REALM, without --host)."`
	Host    string   `xor:"realm" help:"A host whose realm is meant, in place of --realm."`
	Scheme  string   `placeholder:"bearer" help:"The authentication scheme of the credential; a request has its own."`
	Against []string `name:"against" placeholder:"PATH" sep:"," type:"path" help:"Also show how this other configuration (a file or a folder) decides on the same token, and what differs. It is built beside the one that serves."`
	Request bool     `help:"Standard input has a whole HTTP request, for parts that look at it (signatures): request line and headers, of which Authorization, or a signature of AWS in the query, is the credential."`
	Cert    string   `name:"client-certificate" placeholder:"FILE" type:"path" help:"The TLS client certificate of the caller, for parts that look at it: PEM, without its key. That the caller has the key is not proven then."`
	door
}

// Help is kong's.
func (explainCmd) Help() string {
	return `The token is read from standard input, with or without the word Bearer before it:

    realmgate explain --realm demo < token

The daemon decides by the configuration that it serves: --config says no more than where its admin socket is. How another
configuration decides on the same token is shown, beside that, with --against.

What is shown has no token and no secret.`
}

// Run asks the daemon how it decides, and prints that. Whatever the decision is, the command has done its part: exit code 0.
func (e explainCmd) Run(ctx context.Context, c *cli, std streams) error {
	if e.Realm == "" && e.Host == "" { // what is typed counts, and the variable only if neither is
		e.Realm = os.Getenv("REALMGATE_CLI_REALM")
	}
	switch {
	case e.Realm == "" && e.Host == "":
		return wrongUsage("either --realm or --host is needed")
	case e.Request && e.Scheme != "":
		return wrongUsage("--scheme and --request exclude each other: the request has the scheme in its Authorization")
	}
	q := admin.ExplainRequest{Realm: e.Realm, Host: e.Host, Scheme: e.Scheme, Config: e.Against}
	var err error
	if e.Request {
		err = readRequest(os.Stdin, &q)
	} else {
		q.Token, err = readToken(os.Stdin, std.err)
	}
	if err == nil && e.Cert != "" {
		q.ClientCertificate, err = readChain(e.Cert)
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
	if len(e.Against) == 0 && !servedFrom(c.Config, got.Explanation) {
		fmt.Fprintf(std.err, "realmgate explain: the daemon serves another configuration than %s, and decides by that; to see how this one decides: --against %[1]s\n", strings.Join(c.Config, ","))
	}
	if e.JSON {
		return e.print(std, got, nil)
	}
	w := bufio.NewWriter(std.out)
	explanationText(w, got)
	return w.Flush()
}

// servedFrom says whether the parts that decided may be from these files or folders; also if nothing tells. The daemon may name
// its files from a folder that is not known here.
func servedFrom(files []string, e admin.Explanation) bool {
	told := false
	for _, r := range e.Routes {
		for _, s := range r.Stages {
			name, ok := placeFile(s.At)
			if !ok {
				continue
			}
			told = true
			for _, f := range files {
				if filepath.IsAbs(name) && (name == f || filepath.Dir(name) == f) || !filepath.IsAbs(name) && (strings.HasSuffix(f, "/"+filepath.Clean(name)) || strings.HasSuffix(f, "/"+filepath.Dir(name))) {
					return true
				}
			}
		}
	}
	return !told || len(files) == 0
}

// placeFile gives the file of a place FILE:LINE:COLUMN; the built-in default is none.
func placeFile(at string) (string, bool) {
	name := strings.TrimRight(strings.TrimRight(strings.TrimRight(at, "0123456789"), ":"), "0123456789")
	name, ok := strings.CutSuffix(name, ":")
	return name, ok && strings.HasSuffix(name, ".hcl")
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
