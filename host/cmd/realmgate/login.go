package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/realmgate/realmgate/host/catalog"
	"github.com/realmgate/realmgate/host/config"
)

type loginCmd struct {
	AWS loginAWS `cmd:"" name:"aws" help:"Make a token for a tenant of the type aws-iam out of your AWS credentials. Nothing is sent."`
}

// loginAWS has the AWS plugin's binary do the work: the daemon's knows nothing of AWS.
type loginAWS struct {
	Audience       string `required:"" placeholder:"X" help:"What the tenant has in audience."`
	AudienceHeader string `placeholder:"NAME" help:"What the tenant has in audience_header, if it has one."`
	Region         string `help:"Region whose STS endpoint the token is for; that of the environment or the profile without it."`
	STSEndpoint    string `name:"sts-endpoint" placeholder:"URL" help:"Another STS endpoint: what the tenant has in sts_endpoint."`
	Form           string `enum:"k8s,vault" default:"k8s" help:"k8s (a presigned URL, as aws-iam-authenticator's) or vault (as Vault's IAM login)."`
	Profile        string `help:"Profile of ~/.aws/config; AWS_PROFILE without it."`
	JSON           bool   `help:"Print JSON, with the token's end."`
	PluginDir      string `env:"REALMGATE_PLUGIN_DIR" type:"path" placeholder:"PATH" help:"Where realmgate-plugin-aws is; without it, in plugin_dir of the configuration that --config names, or beside this binary."`
}

// Run prints the token. The plugin runs with the environment of the user, whose credentials may be in it.
func (l loginAWS) Run(ctx context.Context, c *cli, std streams) error {
	dir, err := l.dir(c, std)
	if err != nil {
		return err
	}
	binary := filepath.Join(dir, catalog.BinaryName("aws"))
	args := []string{"login", "--audience", l.Audience, "--form", l.Form}
	for _, f := range []struct{ name, value string }{
		{"--audience-header", l.AudienceHeader}, {"--region", l.Region}, {"--sts-endpoint", l.STSEndpoint}, {"--profile", l.Profile},
	} {
		if f.value != "" {
			args = append(args, f.name, f.value)
		}
	}
	if l.JSON {
		args = append(args, "--json")
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, std.out, std.err
	err = cmd.Run()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		return shownError{err} // it has said why
	case err != nil:
		return fmt.Errorf("%w; --plugin-dir says where the AWS plugin is", err)
	}
	return nil
}

// dir gives the folder of the plugin. A configuration is read only if it is named: whoever logs in need not have one.
func (l loginAWS) dir(c *cli, std streams) (string, error) {
	if l.PluginDir != "" {
		return l.PluginDir, nil
	}
	cfg := &config.Config{}
	if len(c.Config) > 0 {
		var err error
		if cfg, _, err = c.load(std, nil); err != nil {
			return "", err
		}
	}
	return pluginDir(cfg)
}
