package aws

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/internal/doctest"
	"github.com/realmgate/realmgate/internal/miniotest"
	"github.com/realmgate/realmgate/internal/need"
	"github.com/realmgate/realmgate/plugins/aws/ststest"
)

// script runs blocks of a page in the daemon's folder.
func (d *daemon) script(env []string, text string) string {
	d.t.Helper()
	need.Command(d.t, "curl")
	cmd := exec.CommandContext(d.t.Context(), "bash", "-eu", "-c", text)
	cmd.Dir, cmd.Env = d.Dir, append(os.Environ(), append(env, "PATH="+filepath.Dir(d.Command)+":"+os.Getenv("PATH"))...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Errorf("%v\n%s", err, out)
	}
	return string(out)
}

// Callers with an identity of IAM, as the page has them. STS is the tests' own.
func TestPageOfIAM(t *testing.T) {
	t.Parallel()
	sts := ststest.New(t, deployer)
	hcl := doctest.Only(t, "docs/aws-callers.md", "hcl iam")
	newDaemon(t, "", hcl).Operate("validate", "--config", "config.hcl")
	const regions = `regions  = ["eu-west-1", "us-east-1"]`
	d := startDaemon(t, "", strings.Replace(hcl, regions, "sts_endpoint = \""+sts.URL+"\"", 1)) // in the place of AWS' own
	d.script(nil, doctest.Only(t, "docs/aws-callers.md", "sh iam"))
	login := strings.NewReplacer("--region eu-west-1", "--region eu-west-1 --config config.hcl --sts-endpoint "+sts.URL, "https://app.example.com/", d.URL+"/realms/realm1/v1/check", "curl ", "curl -sSi ").
		Replace(doctest.Only(t, "docs/aws-callers.md", "sh login"))
	if out := d.script(environment(t, deployer), login); !strings.Contains(out, "HTTP/1.1 200") || !strings.Contains(out, "Realmgate-Roles: deploy") {
		t.Error(out)
	}
}

// Callers that sign with keys of Realmgate's own, through nginx.
func TestPageOfAccessKeys(t *testing.T) {
	t.Parallel()
	// The listener of a test has an address of its own.
	listener, rest, ok := strings.Cut(doctest.Only(t, "docs/aws-callers.md", "hcl sigv4"), "\n}\n")
	listener, isListener := strings.CutPrefix(listener, "listener \"main\" {\n  address         = \"127.0.0.1:8642\"\n")
	if !ok || !isListener {
		t.Fatal("the page has another listener")
	}
	d := startDaemon(t, strings.TrimSpace(listener), rest)
	d.Principal("realm1", "alice", "reader")
	create, sign, _ := strings.Cut(doctest.Only(t, "docs/aws-callers.md", "sh sigv4"), "\n")
	made := strings.Fields(d.script(nil, create))
	if len(made) != 8 || !strings.HasPrefix(made[3], "RGAK") { // access key id ID secret access key SECRET
		t.Fatalf("a key is printed as %d words", len(made))
	}
	id, secret := made[3], made[7]
	sign = strings.NewReplacer("RGAK...", id, "SECRET_ACCESS_KEY=...", "SECRET_ACCESS_KEY="+secret, "https://app.example.com", signedProxy(t, d, "realm1", service(t).URL), "curl ", "curl -sS ").Replace(sign)
	if out := d.script(nil, sign); out != "alice GET /v1/things " {
		t.Errorf("%q", out)
	}
}

// The page about the plugin: its configuration is taken, with the keys and the parameters of a connection that it shows.
func TestPageOfThePlugin(t *testing.T) {
	t.Parallel()
	minio, secrets := miniotest.Start(t), t.TempDir()
	if err := os.Chmod(secrets, 0o700); err != nil {
		t.Fatal(err)
	}
	keys := strings.NewReplacer("AKIA...", minio.AccessKey, `"secret_access_key": "..."`, `"secret_access_key": "`+minio.SecretKey+`"`, `, "session_token": "only if they are temporary"`, "").
		Replace(doctest.Only(t, "docs/aws.md", "json keys"))
	if err := os.WriteFile(filepath.Join(secrets, "aws"), []byte(keys), 0o600); err != nil {
		t.Fatal(err)
	}
	var hcl strings.Builder
	for _, b := range doctest.Blocks(t, "docs/aws.md", "hcl") {
		hcl.WriteString(b.Text)
	}
	d := startDaemon(t, "", strings.NewReplacer("/etc/realmgate/secrets", secrets, `type = "sigv4"`, "type = \"sigv4\"\n  sts_endpoint = \""+minio.URL+"\"").Replace(hcl.String())+
		"realm \"demo\" {\n  connections {\n    use_roles = [\"service\"]\n    manage_roles = [\"service_admin\"]\n  }\n}\n")
	for _, part := range []string{"aws-secrets-manager", "aws-ssm-parameters", "sigv4"} {
		if strings.Contains(d.Log.String(), part+" is not available") {
			t.Errorf("%s is not available", part)
		}
	}
	parameters := strings.ReplaceAll(doctest.Only(t, "docs/aws.md", "json parameters"), `"glue"`, `"s3"`)
	body := `{"name": "glue", "connectionConfigInfo": {"connectionType": "GENERIC_HTTP", "uri": "` + minio.URL + `", "authenticationParameters": ` + parameters + `}}`
	if a := d.Ask(http.MethodPost, "/realms/demo/v1/connections", d.Token("demo"), "application/json", body); a.Status != http.StatusCreated {
		t.Errorf("%d %s", a.Status, a.Text)
	}
	if a := d.Ask(http.MethodPost, "/realms/demo/v1/connections/glue/credentials", d.token("demo", "worker", "service"), "application/json", ""); a.Status != http.StatusOK {
		t.Errorf("%d %s", a.Status, a.Text)
	}
}
