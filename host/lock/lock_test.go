package lock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

const sum = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func entry(name string) Entry {
	return Entry{Name: name, Path: "/opt/" + name, SHA256: sum, Version: "1.0", Contract: 1, Offers: []Offer{
		{Kind: "principal-mapper", Type: "badge", Wants: []string{"principals"}}, {Kind: "authenticator", Type: "x", Abilities: []string{"a"}},
	}}
}

// What is written is read back, in one order whatever the order of writing was, and without a trace beside it.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, Name)
	if _, err := Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no file: %v", err)
	}
	var texts []string
	for _, names := range [][]string{{"b", "a", "c"}, {"c", "b", "a", "b"}} {
		f := &File{}
		for _, n := range names {
			f.Set(entry(n))
		}
		f.Set(entry("gone"))
		f.Remove("gone")
		if err := f.Write(path); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err != nil || !reflect.DeepEqual(got, f) || got.Find("b") == nil || got.Find("gone") != nil {
			t.Fatalf("%+v, %v", got, err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	if texts[0] != texts[1] {
		t.Errorf("%s\nand\n%s", texts[0], texts[1])
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 {
		t.Errorf("%v %v", all, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := (&File{}).Write(path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if err := (&File{}).Write(filepath.Join(dir, "none", Name)); err == nil {
		t.Error("a folder that does not exist was written to")
	}
	if err := (&File{Plugins: []Entry{{Name: "a"}}}).Write(path); err == nil {
		t.Error("an entry without a checksum was written")
	}
}

// A file of which anything is not understood is no lock file: nobody knows what it would lock.
func TestUnusable(t *testing.T) {
	t.Parallel()
	for content, text := range map[string]string{
		"": "it is empty", "{": "unexpected EOF", "[]": "cannot unmarshal", "{}": "its format is 0", `{"format":2}`: "its format is 2",
		`{"format":1,"plugin":[]}`: "unknown field", `{"format":1}{}`: "more behind the end", `{"format":1} x`: "more behind the end",
		`{"format":1,"plugins":[{"sha256":"` + sum + `"}]}`:                                                "no name",
		`{"format":1,"Plugins":[]}`:                                                                        `unknown key "Plugins"`,
		`{"format":1,"plugins":[],"plugins":[]}`:                                                           "twice",
		`{"format":1,"plugins":[{"name":"a","SHA256":"` + sum + `"}]}`:                                     `unknown key "SHA256"`,
		`{"format":1,"plugins":[{"name":"a","sha256":"` + sum + `","files":{"a":"1","a":"2"}}]}`:           "twice",
		`{"format":1,"plugins":[{"name":"a"}]}`:                                                            "plugin a: sha256",
		`{"format":1,"plugins":[{"name":"a","sha256":"` + strings.ToUpper(sum) + `"}]}`:                    "plugin a: sha256",
		`{"format":1,"plugins":[{"name":"a","sha256":"` + sum + `"},{"name":"a","sha256":"` + sum + `"}]}`: "twice",
	} {
		path := filepath.Join(t.TempDir(), Name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if f, err := Read(path); f != nil || err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %s", content, err, text)
		}
	}
	dir := t.TempDir()
	nowhere, pipe := filepath.Join(dir, "nowhere"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.Symlink(filepath.Join(dir, "none"), nowhere), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{nowhere: "a link that leads nowhere", pipe: "not a regular file"} {
		if f, err := Read(path); f != nil || err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v %v", path, f, err)
		}
	}
	if f, err := Read(dir); f != nil || err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder: %v %v", f, err)
	}
}

func TestDiffers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(contract *int, o *[]Offer)
		want   string
	}{
		"the same":         {func(*int, *[]Offer) {}, ""},
		"another contract": {func(c *int, _ *[]Offer) { *c = 2 }, "version 2 of the contract, not 1"},
		"more":             {func(_ *int, o *[]Offer) { *o = append(*o, Offer{Kind: "token-broker", Type: "y"}) }, `offers the token-broker "y"`},
		"another":          {func(_ *int, o *[]Offer) { (*o)[0].Type = "z" }, `offers the principal-mapper "z"`},
		"less":             {func(_ *int, o *[]Offer) { *o = (*o)[:1] }, "offers less"},
		"can more":         {func(_ *int, o *[]Offer) { (*o)[0].Abilities = []string{"a"} }, "with the abilities"},
		"wants more":       {func(_ *int, o *[]Offer) { (*o)[1].Wants = []string{"principals"} }, `wants "principals" for the authenticator "x"`},
	} {
		e := entry("a")
		contract, offers := 1, entry("a").Offers
		tt.change(&contract, &offers)
		if got := e.Differs(contract, offers); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// Other entries make another digest, whatever the order was in which they came to be.
func TestDigest(t *testing.T) {
	t.Parallel()
	digest := func(change func(*Entry), names ...string) string {
		path := filepath.Join(t.TempDir(), Name)
		f := &File{}
		for _, n := range names {
			e := entry(n)
			change(&e)
			f.Set(e)
		}
		if err := f.Write(path); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		return got.Digest()
	}
	same := func(*Entry) {}
	if digest(same, "a", "b") != digest(same, "b", "a") {
		t.Error("the order counts")
	}
	if digest(same, "a", "b") == digest(func(e *Entry) { e.Offers = e.Offers[:1] }, "a", "b") {
		t.Error("an offer less is the same")
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]State{
		"plugins are not locked: there is no lock file /x":                  {File: "/x"},
		"plugins are locked: nothing runs but the one in the lock file /x":  {File: "/x", InForce: true, Entries: 1},
		"plugins are locked: nothing runs but the 0 in the lock file /x":    {File: "/x", InForce: true},
		"plugins are locked: nothing runs but the 1234 in the lock file /x": {File: "/x", InForce: true, Entries: 1234},
	} {
		if got := s.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
