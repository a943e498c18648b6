package secrets

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/internal/awstest"
	"github.com/realmgate/realmgate/sdk"
)

const keysRef = "urn:realmgate-secret:ops:aws"

// resolver is what both stores are.
type resolver interface {
	sdk.SecretResolver
	sdk.SecretWriter
	Close() error
}

type fixture struct {
	stores  *awstest.Stores
	secrets *awstest.Secrets
	ctx     context.Context
	manager *Manager
	params  *Parameters
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		stores:  awstest.NewStores(t, awstest.Keys{"AKIDSTORE": "store-secret"}),
		secrets: awstest.NewSecrets(map[string]string{keysRef: "AKIDSTORE:store-secret"}),
	}
	f.ctx = sdk.WithHost(t.Context(), f.secrets)
	raw := []byte(`{"region":"eu-central-1","endpoint":"` + f.stores.URL + `","credentials":"` + keysRef + `"}`)
	var m ManagerSettings
	var p Settings
	if err := sdk.Decode(raw, &m); err != nil {
		t.Fatal(err)
	}
	if err := sdk.Decode(raw, &p); err != nil {
		t.Fatal(err)
	}
	var err error
	if f.manager, err = NewManager(t.Context(), sdk.Setup{Store: "s"}, m); err != nil {
		t.Fatal(err)
	}
	if f.params, err = NewParameters(t.Context(), sdk.Setup{Store: "s"}, p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.manager.Close(); _ = f.params.Close() })
	return f
}

func (f *fixture) both() map[string]resolver {
	return map[string]resolver{"aws-secrets-manager": f.manager, "aws-ssm-parameters": f.params}
}

func ref(text string) sdk.SecretRef { return awstest.Ref("urn:realmgate-secret:s:" + text) }

func TestResolve(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf"
	for _, name := range []string{"prod/db", arn, "/prod/db", "flat"} {
		f.stores.Put(name, "old")
		f.stores.Put(name, "new")
	}
	for _, tt := range []struct {
		r               resolver
		ref, want, vers string
	}{
		{f.manager, "prod/db", "new", "00000000-0000-0000-0000-000000000002"},
		{f.manager, "prod/db?=version=AWSPREVIOUS", "old", "00000000-0000-0000-0000-000000000001"},
		{f.manager, "prod/db?=version=AWSCURRENT", "new", "00000000-0000-0000-0000-000000000002"},
		{f.manager, "prod/db?=version=00000000-0000-0000-0000-000000000001", "old", "00000000-0000-0000-0000-000000000001"},
		{f.manager, arn, "new", "00000000-0000-0000-0000-000000000002"},
		{f.manager, arn + "?=version=AWSPREVIOUS", "old", "00000000-0000-0000-0000-000000000001"},
		{f.manager, "flat", "new", "00000000-0000-0000-0000-000000000002"},
		{f.params, "prod/db", "new", "2"},
		{f.params, "prod/db?=version=1", "old", "1"},
		{f.params, "prod/db?=version=first", "old", "1"},
		{f.params, "flat", "new", "2"},
	} {
		s, err := tt.r.Resolve(f.ctx, ref(tt.ref))
		if err != nil || string(s.Reveal()) != tt.want || s.Version != tt.vers {
			t.Errorf("%s: %q version %q, %v", tt.ref, s.Reveal(), s.Version, err)
		}
	}
	for _, tt := range []struct {
		r         resolver
		ref, want string
	}{
		{f.manager, "prod/none", "ResourceNotFoundException"},
		{f.manager, "prod/db?=version=NOSTAGE", "ResourceNotFoundException"},
		{f.manager, "prod/db?=version=1", "ResourceNotFoundException"},
		{f.manager, "prod/db:AWSCURRENT", "a name has no colon"},
		{f.manager, "prod/db:00000000-0000-0000-0000-000000000002", "a name has no colon"},
		{f.manager, arn + ":AWSCURRENT", "?=version=AWSPREVIOUS"},
		{f.params, "prod/none", "ParameterNotFound"},
		{f.params, "prod/db?=version=3", "ParameterNotFound"},
		{f.params, "prod/db:first", "name has no colon"},
		{f.params, "prod/db:2", "?=version=3"},
		{f.params, "prod/db:first?=version=1", "name has no colon"},
	} {
		s, err := tt.r.Resolve(f.ctx, ref(tt.ref))
		if err == nil || s.Reveal() != nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "urn:") {
			t.Errorf("%s: %v, want %q", tt.ref, err, tt.want)
		}
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	for kind := range newFixture(t).both() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			r := f.both()[kind]
			var versions []string
			for _, value := range []string{"one", "two\n", "ü"} {
				v, err := r.WriteSecret(f.ctx, ref("r1/key"), []byte(value))
				s, resolved := r.Resolve(f.ctx, ref("r1/key"))
				if err != nil || resolved != nil || string(s.Reveal()) != value || slices.Contains(versions, s.Version) {
					t.Errorf("%q: %q, %v, %v", value, s.Reveal(), err, resolved)
				}
				if pinned, err := r.Resolve(f.ctx, ref("r1/key?=version="+v)); err != nil || string(pinned.Reveal()) != value || v != s.Version {
					t.Errorf("%q: version %q is %q, want that of %q, %v", value, v, pinned.Reveal(), s.Version, err)
				}
				versions = append(versions, s.Version)
			}
			for what, err := range map[string]error{
				"a path":   second(r.WriteSecret(f.ctx, ref("r1/key:label"), []byte("x"))),
				"too long": second(r.WriteSecret(f.ctx, ref("r1/key"), make([]byte, 64<<10+1))),
				"its path": r.DeleteSecret(f.ctx, ref("r1/key:label")),
			} {
				if err == nil {
					t.Errorf("%s: taken", what)
				}
			}
			for range 2 { // what is not there is no error
				if err := r.DeleteSecret(f.ctx, ref("r1/key")); err != nil {
					t.Error(err)
				}
			}
			if _, err := r.Resolve(f.ctx, ref("r1/key")); err == nil || len(f.stores.Names()) != 0 {
				t.Errorf("it is still there: %v", f.stores.Names())
			}
		})
	}
}

func second(_ string, err error) error { return err }

func TestBinary(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	value := []byte{0, 0xff, 1}
	if _, err := f.manager.WriteSecret(f.ctx, ref("bin"), value); err != nil {
		t.Fatal(err)
	}
	if s, err := f.manager.Resolve(f.ctx, ref("bin")); err != nil || !bytes.Equal(s.Reveal(), value) {
		t.Errorf("%q, %v", s.Reveal(), err)
	}
	if _, err := f.params.WriteSecret(f.ctx, ref("bin"), value); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Error(err)
	}
}

func TestRecoveryWindow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.stores.Put("a", "x")
	f.stores.Put("b", "x")
	if err := f.manager.DeleteSecret(f.ctx, ref("a")); err != nil {
		t.Fatal(err)
	}
	f.manager.window = 7 * 24 * time.Hour
	if err := f.manager.DeleteSecret(f.ctx, ref("b")); err != nil {
		t.Fatal(err)
	}
	d := f.stores.Deleted()
	if len(d) != 2 || d[0]["ForceDeleteWithoutRecovery"] != true || d[1]["RecoveryWindowInDays"] != 7.0 || d[1]["ForceDeleteWithoutRecovery"] != nil {
		t.Errorf("%v", d)
	}
}

// A store that cannot be asked is an error that neither repeats what it was sent nor what it says.
func TestFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.stores.Put("a", "x")
	for name, tt := range map[string]struct {
		do   func(http.ResponseWriter) bool
		keys string
		want string
	}{
		"denied":        {do: func(w http.ResponseWriter) bool { denied(w); return true }, want: "AccessDeniedException"},
		"down":          {do: func(w http.ResponseWriter) bool { w.WriteHeader(500); return true }, want: "status 500"},
		"redirect":      {do: func(w http.ResponseWriter) bool { w.Header().Set("Location", "/x"); w.WriteHeader(307); return true }, want: "status 307"},
		"endless":       {do: func(w http.ResponseWriter) bool { _, _ = w.Write(bytes.Repeat([]byte(" "), 3<<20)); return true }, want: "too long"},
		"no JSON":       {do: func(w http.ResponseWriter) bool { _, _ = w.Write([]byte("reflected text")); return true }, want: "status 200"},
		"wrong keys":    {keys: "AKIDSTORE:hunter2", want: "InvalidSignatureException"},
		"no keys":       {keys: "hunter2", want: "the store's credentials"},
		"another id":    {keys: "AKIDOTHER:hunter2", want: "InvalidSignatureException"},
		"nothing wrong": {want: ""},
	} {
		f.stores.Do(tt.do)
		f.secrets.Set(keysRef, "AKIDSTORE:store-secret")
		if tt.keys != "" {
			f.secrets.Set(keysRef, tt.keys)
		}
		for kind, r := range f.both() {
			s, err := r.Resolve(f.ctx, ref("a"))
			if tt.want == "" {
				if err != nil || string(s.Reveal()) != "x" {
					t.Errorf("%s: %v", kind, err)
				}
				continue
			}
			if err == nil || sdk.AsDenial(err) != nil || strings.Contains(err.Error(), ref("a").String()) || !strings.Contains(err.Error(), tt.want) ||
				strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "reflected text") {
				t.Errorf("%s, %s: %v, want %q", kind, name, err, tt.want)
			}
		}
	}
}

// denied answers that the keys may not read.
func denied(w http.ResponseWriter) { awstest.JSONFail(w, 400, "AccessDeniedException") }

func TestSettings(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		`{"region":"eu-central-1"}`:                                                   "",
		`{"region":"eu-central-1","recovery_window":"P7D"}`:                           "",
		`{"region":"a.b"}`:                                                            "/region",
		`{"region":"eu-central-1","endpoint":"http://sm.example.com"}`:                "/endpoint",
		`{"region":"eu-central-1","endpoint":"https://sm.example.com","fips":true}`:   "/fips",
		`{"region":"eu-central-1","recovery_window":"P1D"}`:                           "/recovery_window",
		`{"region":"eu-central-1","recovery_window":"P31D"}`:                          "/recovery_window",
		`{"region":"eu-central-1","endpoint":"https://[fd00:ec2::254]","fips":false}`: "/endpoint",
	} {
		var s ManagerSettings
		if err := sdk.Decode([]byte(settings), &s); err != nil {
			t.Fatal(err)
		}
		m, err := NewManager(t.Context(), sdk.Setup{}, s)
		if err == nil {
			_ = m.Close()
		}
		problems := sdk.Problems(err)
		if want == "" && err != nil || want != "" && (len(problems) != 1 || problems[0].Path != want) {
			t.Errorf("%s: %v, want a fault at %q", settings, err, want)
		}
	}
}
