package secret

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// Whoever acts for a realm writes and deletes below what was granted to it, and nowhere else.
func TestWritesOfARealm(t *testing.T) {
	t.Parallel()
	m := &memory{values: map[string]string{}}
	before := map[string]string{"kv/a/x": "ax", "kv/b/x": "bx", "kv/ab": "ab", "kv/a": "a", "files/x": "fx", "A/x": "Ax"}
	s := New(nil)
	s.SetStores([]Store{
		{Name: "vault", Resolver: m, Writer: m, Grants: []Grant{{"a", "kv/a/"}, {"b", "kv/b/"}, {"", "kv/"}, {"c", ""}}},
		{Name: "files", Resolver: m, Writer: m, OperatorOnly: true, Grants: []Grant{{"a", "files/"}}},
		{Name: "read-only", Resolver: m, Grants: []Grant{{"a", "kv/a/"}}},
	})
	tests := []struct {
		realm, ref string
		want       error
	}{
		{"a", "vault:kv/a/x", nil},
		{"a", "vault:kv/a/x/y", nil},
		{"b", "vault:kv/b/x", nil},
		{"a", "vault:kv/b/x", ErrNotGranted},
		{"b", "vault:kv/a/x", ErrNotGranted},
		{"a", "vault:kv/a", ErrNotGranted},
		{"a", "vault:kv/ab", ErrNotGranted},
		{"a", "vault:KV/a/x", ErrNotGranted},
		{"A", "vault:kv/a/x", ErrNotGranted},
		{"a/../b", "vault:kv/b/x", ErrNotGranted},
		{"", "vault:kv/a/x", ErrNotGranted},
		{"c", "vault:kv/a/x", ErrNotGranted},
		{"a", "files:files/x", ErrNotGranted},
		{"a", "nowhere:kv/a/x", ErrNotGranted},
		{"a", "read-only:kv/a/x", ErrReadOnly},
		{"a", "read-only:kv/b/x", ErrNotGranted},
		{"a", "vault:kv/a/x#field", ErrPinned},
		{"a", "vault:kv/a/x?=version=1", ErrPinned},
	}
	for _, tt := range tests {
		r := ref(t, "urn:realmgate-secret:"+tt.ref)
		m.values = maps.Clone(before)
		_, err := s.WriteGranted(t.Context(), tt.realm, r, []byte("new"))
		if !errors.Is(err, tt.want) || tt.want == nil && m.values[r.Path()] != "new" || tt.want != nil && !maps.Equal(m.values, before) {
			t.Errorf("write %s %s: %v, now %v", tt.realm, tt.ref, err, m.values)
		}
		m.values = maps.Clone(before)
		err = s.DeleteGranted(t.Context(), tt.realm, r)
		if _, there := m.values[r.Path()]; !errors.Is(err, tt.want) || tt.want == nil && there || tt.want != nil && !maps.Equal(m.values, before) {
			t.Errorf("delete %s %s: %v, now %v", tt.realm, tt.ref, err, m.values)
		}
	}
	for _, bad := range []string{"kv/a/../b/x", "kv/a/%2e%2e/b/x", "kv/a/..%2fb/x", `kv/a/..\b`, "kv/a//x", "/kv/a/x", "kv/a/./x", "kv/a/x\x00"} {
		if _, err := sdk.ParseSecretRef("urn:realmgate-secret:vault:" + bad); err == nil {
			t.Errorf("%q parses", bad)
		}
	}
}

// The operator may write to any store that takes it, granted or not.
func TestWritesOfTheOperator(t *testing.T) {
	t.Parallel()
	m := &memory{values: map[string]string{}}
	s := New(nil)
	s.SetStores([]Store{{Name: "files", Resolver: m, Writer: m, OperatorOnly: true}, {Name: "read-only", Resolver: m}})
	if _, err := s.Write(t.Context(), ref(t, "urn:realmgate-secret:files:x"), []byte("1")); err != nil || m.values["x"] != "1" {
		t.Errorf("%v, %v", err, m.values)
	}
	if err := s.Delete(t.Context(), ref(t, "urn:realmgate-secret:files:x")); err != nil || len(m.values) > 0 {
		t.Errorf("%v, %v", err, m.values)
	}
	for text, want := range map[string]error{"read-only:x": ErrReadOnly, "nowhere:x": ErrUnknownStore, "files:x#f": ErrPinned, "files:x?=version=2": ErrPinned} {
		r := ref(t, "urn:realmgate-secret:"+text)
		_, err := s.Write(t.Context(), r, nil)
		if !errors.Is(err, want) || !errors.Is(s.Delete(t.Context(), r), want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
}

func TestStores(t *testing.T) {
	t.Parallel()
	m := &memory{}
	s := New(nil)
	s.SetStores([]Store{{Name: "b", Resolver: m}, {Name: "a", Resolver: m, Writer: m, OperatorOnly: true, Grants: []Grant{{"r", "x/"}}}})
	got := s.Stores()
	if len(got) != 2 || got[0].Name != "a" || !got[0].Writable || !got[0].OperatorOnly || !slices.Equal(got[0].Grants, []Grant{{"r", "x/"}}) || got[1].Writable {
		t.Errorf("%+v", got)
	}
}
