package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	s := NewSecret([]byte("hunter2"))
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s, "p", &s)
	js, err := json.Marshal(map[string]any{"s": s, "p": &s})
	if err != nil {
		t.Fatal(err)
	}
	out := fmt.Sprint(s, &s, []Secret{s}, map[string]Secret{"a": s}) + fmt.Sprintf("%s %v %+v %#v %q %x %d", s, s, s, s, s, s, s) + log.String() + string(js)
	for _, leak := range []string{"hunter2", fmt.Sprintf("%x", "hunter2"), fmt.Sprint([]byte("hunter2")), "aHVudGVyMg"} {
		if strings.Contains(out, leak) {
			t.Errorf("a secret prints as %q in %s", leak, out)
		}
	}
	if string(s.Reveal()) != "hunter2" {
		t.Error("the value is lost")
	}
}

// Nobody may call the methods of a field that is not exported.
func TestSecretNeverPrintsWhereItIsHeld(t *testing.T) {
	t.Parallel()
	type deep struct{ secret Secret }
	type instance struct {
		Secret
		secret  Secret
		pointer *Secret
		list    []Secret
		array   [1]Secret
		byName  map[string]Secret
		nested  deep
		behind  any
		Deep    []deep
	}
	s := NewSecret([]byte("hunter2"))
	field, err := NewSecret([]byte(`{"f":"hunter2"}`)).Field("f")
	if err != nil || string(field.Reveal()) != "hunter2" {
		t.Fatal(err)
	}
	for _, s := range []Secret{s, field} {
		x := instance{s, s, &s, []Secret{s}, [1]Secret{s}, map[string]Secret{"a": s}, deep{s}, s, []deep{{s}}}
		alone := struct{ secret Secret }{s}
		var out strings.Builder
		for _, v := range []any{x, &x, []instance{x}, map[string]instance{"a": x}, struct{ held *instance }{&x}, deep{s}, []deep{{s}}, alone, &alone, reflect.ValueOf(deep{s}).Field(0)} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%p", "%t", "%!"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
			js, _ := json.Marshal(v) //nolint:errchkjson // of a struct that cannot be marshalled there is nothing
			out.Write(js)
			err := Guard(func() error { panic(v) })
			var p *PanicError
			if !errors.As(err, &p) {
				t.Fatal(err)
			}
			out.WriteString(err.Error() + string(p.Stack))
		}
		for _, leak := range []string{"hunter2", fmt.Sprintf("%x", "hunter2"), fmt.Sprintf("%X", "hunter2"), "104 117 110 116 101 114", "0x68, 0x75", "aHVudGVyMg"} {
			if strings.Contains(out.String(), leak) {
				t.Errorf("a secret prints as %q in %.2000s", leak, out.String())
			}
		}
	}
	if s := (Secret{}); s.Reveal() != nil || !reflect.DeepEqual(s, Secret{}) || !reflect.DeepEqual(NewSecret([]byte("a")), NewSecret([]byte("a"))) || reflect.DeepEqual(NewSecret([]byte("a")), NewSecret([]byte("b"))) {
		t.Error("no secret, and equal ones")
	}
}

func TestFieldOfASecret(t *testing.T) {
	t.Parallel()
	for value, fields := range map[string]map[string]string{
		`{"user":"alice","pass.word":"p\u003c","empty":"","port":1,"none":null,"deep":{"user":"x"}}`: {
			"user": "alice", "pass.word": "p<", "empty": "", "port": `!the field "port" of the secret is not a string`, "none": "!is not a string",
			"deep": "!is not a string", "nobody": `!the secret has no field "nobody"`, "USER": `!no field "USER"`,
		},
		"hunter2": {"user": `!the reference names the field "user", but the secret is not a JSON object`}, "null": {"user": "!not a JSON object"},
		`["alice"]`: {"0": "!not a JSON object"}, "\x00\xff": {"x": "!not a JSON object"}, "": {"x": "!not a JSON object"}, `{"user":"alice"}}`: {"user": "!not a JSON object"},
	} {
		whole := NewSecret([]byte(value))
		whole.Version, whole.CacheUntil = "3", time.Unix(7, 0)
		if s, err := whole.Field(""); err != nil || string(s.Reveal()) != value {
			t.Errorf("%s: the whole is %q, %v", value, s.Reveal(), err)
		}
		for name, want := range fields {
			s, err := whole.Field(name)
			part, fails := strings.CutPrefix(want, "!")
			switch {
			case !fails && (err != nil || string(s.Reveal()) != want || s.Version != "3" || !s.CacheUntil.Equal(whole.CacheUntil)):
				t.Errorf("%s: %q is %q of version %q until %v, %v", value, name, s.Reveal(), s.Version, s.CacheUntil, err)
			case fails && (err == nil || !strings.Contains(err.Error(), part) || s.Reveal() != nil || strings.Contains(err.Error(), "alice") || strings.Contains(err.Error(), "hunter2")):
				t.Errorf("%s: %q: %q, %v", value, name, s.Reveal(), err)
			}
		}
	}
}

func TestParseSecretRef(t *testing.T) {
	t.Parallel()
	r, err := ParseSecretRef("urn:polaris-secret:vault-prod:kv2/secret/a?=version=12#pass.word")
	if err != nil || r.Store() != "vault-prod" || r.Path() != "kv2/secret/a" || r.Version() != "12" || r.Field() != "pass.word" {
		t.Errorf("%+v %v", r, err)
	}
	if w := r.Whole(); w.String() != "urn:realmgate-secret:vault-prod:kv2/secret/a?=version=12" || r.Field() == "" {
		t.Errorf("the whole of %v is %v", r, w)
	}
	r, err = ParseSecretRef("urn:realmgate-secret:aws:arn:aws:secretsmanager:eu:1:secret:x")
	if err != nil || r.Store() != "aws" || r.Path() != "arn:aws:secretsmanager:eu:1:secret:x" {
		t.Errorf("%+v %v", r, err)
	}
	for _, version := range []string{"7", "AWSPREVIOUS", "a1b2c3d4-0000-4000-8000-00000000000f", "my_label.2"} {
		r, err := ParseSecretRef("urn:realmgate-secret:s:a/b?=version=" + version + "#f")
		if err != nil || r.Path() != "a/b" || r.Version() != version || r.Field() != "f" {
			t.Errorf("%s: %+v %v", version, r, err)
		}
	}
	for _, text := range []string{
		"", "hunter2", "urn:realmgate-secret:", "urn:realmgate-secret:s", "urn:realmgate-secret:s:", "urn:realmgate-secret::p",
		"urn:realmgate-secret:s:a/../b", "urn:realmgate-secret:s:..", "urn:realmgate-secret:s:./a", "urn:realmgate-secret:s:a//b", "urn:realmgate-secret:s:/a",
		"urn:realmgate-secret:s:a%2e%2e/b", "urn:realmgate-secret:s:a\\b", "urn:realmgate-secret:s:a b", "urn:realmgate-secret:s:a\x00",
		"urn:realmgate-secret:s:a?=version=", "urn:realmgate-secret:s:a?=version=x:y", "urn:realmgate-secret:s:a?=version=x/y", "urn:realmgate-secret:s:a?=version=x y", "urn:realmgate-secret:s:a?=version=" + strings.Repeat("1", 257), "urn:realmgate-secret:s:a?=other=1",
		"urn:realmgate-secret:s:a#", "urn:realmgate-secret:s:a#b#c", "urn:realmgate-secret:s/t:a", "URN:realmgate-secret:s:a",
	} {
		r, err := ParseSecretRef(text)
		if err == nil || !r.IsZero() {
			t.Errorf("%q gives %v", text, r)
		} else if text == "hunter2" && strings.Contains(err.Error(), text) {
			t.Errorf("the error repeats what may be a secret: %v", err)
		}
	}
}

func FuzzSecretRef(f *testing.F) {
	for _, s := range []string{"urn:realmgate-secret:s:a/b?=version=1#f", "urn:polaris-secret:s:a", "urn:realmgate-secret:s:a?=version=AWS-1_2.3#f", "urn:realmgate-secret:s:a/../b", "x", "urn:realmgate-secret:s:a?=version=1?=version=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseSecretRef(text)
		if err != nil {
			if !r.IsZero() {
				t.Fatal("an error gives a value")
			}
			return
		}
		for _, seg := range strings.Split(r.Path(), "/") {
			if seg == "" || seg == "." || seg == ".." || strings.ContainsAny(seg, "%\\?# \x00") {
				t.Fatalf("%q has a path segment %q", text, seg)
			}
		}
		again, err := ParseSecretRef(r.String())
		if err != nil || again != r {
			t.Fatalf("%q prints as %q, which is %+v: %v", text, r, again, err)
		}
	})
}

// testHost is a Host with one answer.
type testHost struct{ err error }

func (h testHost) FindPrincipal(_ context.Context, r PrincipalRef) (Principal, error) {
	return Principal{ID: r.ID}, h.err
}

func (h testHost) FindAccessKey(_ context.Context, id string) (AccessKey, error) {
	return AccessKey{ID: id}, h.err
}

func (h testHost) ResolveSecret(_ context.Context, r SecretRef) (Secret, error) {
	return NewSecret([]byte(r.Path())), h.err
}

func TestHostIsReachedThroughTheContext(t *testing.T) {
	t.Parallel()
	ref, err := ParseSecretRef("urn:realmgate-secret:s:p")
	if err != nil {
		t.Fatal(err)
	}
	ctx := WithHost(t.Context(), testHost{})
	if v, err := ref.Value(ctx); err != nil || string(v.Reveal()) != "p" {
		t.Error(err)
	}
	if p, err := FindPrincipal(ctx, PrincipalRef{ID: "1"}); err != nil || p.ID != "1" {
		t.Error(err)
	}
	if k, err := FindAccessKey(ctx, "k"); err != nil || k.ID != "k" {
		t.Error(err)
	}
	if _, err := (SecretRef{}).Value(ctx); err == nil {
		t.Error("the empty reference has a value")
	}
	for _, err := range []error{
		func() error { _, err := ref.Value(t.Context()); return err }(),
		func() error { _, err := FindPrincipal(t.Context(), PrincipalRef{}); return err }(),
		func() error { _, err := FindAccessKey(t.Context(), "k"); return err }(),
	} {
		if err == nil || AsDenial(err) != nil {
			t.Errorf("without a host: %v", err)
		}
	}
	broken := errors.New("broken")
	if _, err := ref.Value(WithHost(ctx, testHost{broken})); !errors.Is(err, broken) {
		t.Error(err)
	}
}
