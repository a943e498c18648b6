package login

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

const usage = `Usage: realmgate-plugin-aws login --audience X [--region R] [--profile P] [--form k8s|vault] [--json]

Makes a bearer token out of your AWS credentials (environment, profile, SSO, container or instance role), with which you
prove to a tenant of the type aws-iam who you are. Nothing is sent. The token is good for 15 minutes at most.

`

// timeout bounds how long credentials may take to come.
const timeout = time.Minute

// Run is the command login. It answers the exit code: 0 done, 1 failed, 2 the command line is wrong.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := Options{Now: time.Now()}
	var profile string
	var asJSON bool
	f := flag.NewFlagSet("login", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		_, _ = fmt.Fprint(f.Output(), usage)
		f.VisitAll(func(x *flag.Flag) { _, _ = fmt.Fprintf(f.Output(), "  --%-16s %s\n", x.Name, x.Usage) })
	}
	f.StringVar(&o.Audience, "audience", "", "what the tenant has in audience; required")
	f.StringVar(&o.AudienceHeader, "audience-header", "", "what the tenant has in audience_header, if it has one")
	f.StringVar(&o.Region, "region", "", "region whose STS endpoint the request is for; that of the environment or the profile without it")
	f.StringVar(&o.Endpoint, "sts-endpoint", "", "URL of another STS endpoint: what the tenant has in sts_endpoint")
	f.StringVar(&o.Form, "form", FormK8s, "k8s (a presigned URL, as aws-iam-authenticator's; without this flag) or vault (as Vault's IAM login)")
	f.StringVar(&profile, "profile", "", "profile of ~/.aws/config; AWS_PROFILE without it")
	f.BoolVar(&asJSON, "json", false, "print JSON, with the token's end")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case f.NArg() > 0 || o.Audience == "":
		_, _ = fmt.Fprintln(stderr, "login: --audience is needed, and nothing but flags")
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	t, err := o.login(ctx, profile)
	if err == nil && asJSON {
		err = json.NewEncoder(stdout).Encode(t)
	} else if err == nil {
		_, err = fmt.Fprintln(stdout, t.Value)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "login:", err)
		return 1
	}
	return 0
}

// login takes the credentials that the SDK finds.
func (o Options) login(ctx context.Context, profile string) (Token, error) {
	load := []func(*config.LoadOptions) error{config.WithSharedConfigProfile(profile)}
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	conf, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return Token{}, fmt.Errorf("the configuration of AWS: %w", err)
	}
	if o.Region = conf.Region; o.Region == "" { // said before credentials are asked for, which may take a while
		return New(ctx, aws.Credentials{}, o)
	}
	c, err := conf.Credentials.Retrieve(ctx)
	if err != nil {
		return Token{}, fmt.Errorf("no AWS credentials: %w", err)
	}
	return New(ctx, c, o)
}
