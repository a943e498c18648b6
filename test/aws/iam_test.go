package aws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/ststest"
)

const (
	audience = "https://gate.example.com"
	roleARN  = "arn:aws:iam::111122223333:role/deployer"
)

var (
	deployer = ststest.Caller{
		AccessKeyID: "ASIADEPLOYER", Secret: "secret-of-the-deployer", SessionToken: "session+token/of=", Account: "111122223333",
		ARN: "arn:aws:sts::111122223333:assumed-role/deployer/run-7", UserID: "AROADEPLOYER:run-7",
	}
	impostor = ststest.Caller{ // the same role by name, in an account of somebody else
		AccessKeyID: "ASIAIMPOSTOR", Secret: "secret-of-the-impostor", SessionToken: "session", Account: "999988887777",
		ARN: "arn:aws:sts::999988887777:assumed-role/deployer/run-7", UserID: "AROAOTHER:run-7",
	}
)

// environment are the variables in which a user has credentials. Nothing of the machine's own comes in.
func environment(t *testing.T, c ststest.Caller) []string {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	return []string{
		"AWS_ACCESS_KEY_ID=" + c.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + c.Secret, "AWS_SESSION_TOKEN=" + c.SessionToken, "AWS_REGION=us-east-1",
		"AWS_PROFILE=", "AWS_CONFIG_FILE=" + none, "AWS_SHARED_CREDENTIALS_FILE=" + none, "AWS_EC2_METADATA_DISABLED=true",
	}
}

// A user's AWS credentials, the command that makes a token of them, the daemon, its plugin, STS and the mappers, as they are.
func TestCallersWithAnIAMIdentity(t *testing.T) {
	t.Parallel()
	sts := ststest.New(t, deployer, impostor)
	d := startDaemon(t, "", fmt.Sprintf(`tenant "aws" {
  identity_provider {
    type         = "aws-iam"
    audience     = %q
    sts_endpoint = %q
  }
  principal_mapper {
    name_claim_path = "canonical_arn"
  }
}
authentication {
  type = "external"
}
realm "one" {
  tenant = "aws"
}
realm "two" {
  tenant = "aws"
}
realm "mixed" {
  tenant = "aws"
  authentication {
    type = "mixed"
  }
}
`, audience, sts.URL))
	d.Principal("one", roleARN, "deploy")
	d.Principal("mixed", roleARN, "deploy")
	token := func(c ststest.Caller, args ...string) string {
		out, faults, err := d.Run(environment(t, c), append([]string{"login", "aws", "--config", "config.hcl", "--audience", audience, "--sts-endpoint", sts.URL}, args...)...)
		if err != nil {
			t.Fatalf("%v\n%s", err, faults)
		}
		return strings.TrimSpace(out)
	}
	encoded := url.PathEscape(roleARN)
	encoded = strings.ReplaceAll(encoded, ":", "%3A")
	for _, form := range []string{"k8s", "vault"} {
		good := token(deployer, "--form", form)
		for _, realm := range []string{"one", "mixed", "one"} {
			if status, who, roles := d.check(realm, good); status != 200 || who != encoded || roles != "deploy" {
				t.Errorf("%s in %s: %d %s %s", form, realm, status, who, roles)
			}
		}
		// The tenant is the same, the directory is not: nobody of this name is there.
		if status, why, _ := d.check("two", good); status != 403 || why != "principal_unknown" {
			t.Errorf("%s in the other realm: %d %s", form, status, why)
		}
		if status, why, _ := d.check("one", token(impostor, "--form", form)); status != 403 || why != "principal_unknown" {
			t.Errorf("%s: the same role of another account: %d %s", form, status, why)
		}
		other := deployer
		other.Secret = "x"
		if status, why, _ := d.check("one", token(other, "--form", form)); status != 401 || why != "proof_refused" {
			t.Errorf("%s: another secret: %d %s", form, status, why)
		}
	}
	if n := sts.Requests(); n != 6 {
		t.Errorf("6 proofs are %d requests to STS", n)
	}
	if status, why, _ := d.check("mixed", "k8s-aws-v1.bm90aGluZw"); status != 401 || why != "endpoint_not_allowed" {
		t.Errorf("nonsense: %d %s", status, why)
	}
	sts.Instead(func(w http.ResponseWriter, _ *http.Request) { ststest.Error(w, 400, "Throttling") })
	fresh := token(deployer, "--json")
	var parsed struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal([]byte(fresh), &parsed); err != nil || time.Until(parsed.Expires) < 14*time.Minute || time.Until(parsed.Expires) > 15*time.Minute {
		t.Fatalf("%s: %v", fresh, err)
	}
	// A proof of the next second: one that is remembered would be good without STS.
	if status, why, _ := d.check("one", token(deployer, "--audience-header", "x-k8s-aws-id", "--region", "eu-west-1")); status != 503 || why != "unavailable" {
		t.Errorf("STS is throttling: %d %s", status, why)
	}
	for _, file := range []string{"data/audit.log", "data/realmgate.db"} {
		if raw, err := os.ReadFile(filepath.Join(d.Dir, file)); err == nil && (strings.Contains(string(raw), parsed.Token[40:80]) || strings.Contains(string(raw), deployer.SessionToken)) {
			t.Errorf("%s has a proof in it", file)
		}
	}
}

func TestLoginSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, "", "")
	env := environment(t, deployer)
	for name, tt := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"no region":      {append(env, "AWS_REGION="), nil, "a region is needed: --region, AWS_REGION"},
		"no credentials": {append(env, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="), nil, "no AWS credentials"},
		"no profile":     {env, []string{"--profile", "nobody"}, "nobody"},
		"an endpoint":    {env, []string{"--sts-endpoint", "sts.example.com"}, "is not the URL of an STS endpoint"},
	} {
		out, faults, err := d.Run(tt.env, append([]string{"login", "aws", "--audience", "a"}, tt.args...)...)
		if err == nil || out != "" || !strings.Contains(faults, tt.want) || strings.Contains(faults, deployer.Secret) {
			t.Errorf("%s: %v, %q, %q", name, err, out, faults)
		}
	}
}
