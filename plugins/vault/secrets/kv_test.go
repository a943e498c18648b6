package secrets

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// age has the server have said long ago what the mounts are.
func (s *Store) age(d time.Duration) {
	s.mounts.mu.Lock()
	defer s.mounts.mu.Unlock()
	for at, m := range s.mounts.known {
		m.asked = m.asked.Add(-d)
		s.mounts.known[at] = m
	}
}

const version2 = `{"request_id":"r","data":{"data":{"a":"b"},"metadata":{"version":1}}}`

// upgrade makes a store of version 2 out of that of version 1.
func (f *fake) upgrade() {
	f.mount("kv/", "kv 2")
	for _, method := range []string{"GET", "POST", "DELETE"} {
		f.on(method+" kv/x", says(http.StatusNotFound))
	}
	f.on("GET kv/data/x", gives(version2))
	f.on("POST kv/data/x", gives(`{"request_id":"r","data":{"version":7}}`))
}

// What is not found in a mount may be in what the mount is by now.
func TestMountThatIsAnotherOneNow(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	st := f.open(t, nil)
	must(t, st, "kv/x")
	f.upgrade()
	const mounts = "GET sys/internal/ui/mounts/kv/x"
	if _, err := st.Resolve(t.Context(), ref("kv/x")); err == nil || f.times(mounts) != 1 {
		t.Errorf("the server has just said what the mount is: %v after %d questions for it", err, f.times(mounts))
	}
	st.age(doubtAfter)
	st.absent.forget(time.Now())
	if v := must(t, st, "kv/x"); string(v.Reveal()) != `{"a":"b"}` || f.times(mounts) != 2 {
		t.Errorf("%s after %d questions for the mount", v.Reveal(), f.times(mounts))
	}
	st.age(mountsFor)
	if must(t, st, "kv/x"); f.times(mounts) != 3 {
		t.Errorf("%d questions for the mount", f.times(mounts))
	}
}

// What is remembered of a mount does not decide what is written and deleted.
func TestWritesGoByWhatTheMountIs(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	st := f.open(t, nil)
	must(t, st, "kv/x")
	f.upgrade()
	if version, err := st.WriteSecret(t.Context(), ref("kv/x"), []byte("v")); err != nil || version != "7" {
		t.Errorf("%q, %v", version, err)
	}
	must(t, st, "kv/x")
	f.mount("kv/", "kv 1")
	f.on("DELETE kv/x", nil)
	if err := st.DeleteSecret(t.Context(), ref("kv/x")); err != nil || f.times("DELETE kv/x") != 1 {
		t.Errorf("after %d deletions: %v", f.times("DELETE kv/x"), err)
	}
	f.upgrade()
	if err := st.DeleteSecret(t.Context(), ref("kv/x")); err != nil || f.times("DELETE kv/metadata/x") != 1 || f.times("DELETE kv/x") != 1 {
		t.Errorf("of version 2: %v", err)
	}
}

// A secret is deleted where the server says so, and not where it knows no such place.
func TestDeletionInAWrongPlace(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.upgrade()
	st := f.open(t, map[string]any{"kv_version": "1"}) // which it is not
	if err := st.DeleteSecret(t.Context(), ref("kv/x")); err == nil || f.times("DELETE kv/x") != 1 {
		t.Errorf("after %d deletions: %v", f.times("DELETE kv/x"), err)
	}
}

// Who asks for what is not there does not decide how often the server is asked, until something is written.
func TestWhatIsNotThereIsRemembered(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"kv/x", "kv2/x", "db/x"} {
		f := newFake(t)
		st := f.open(t, nil)
		at := "GET " + strings.Replace(path, "kv2/", "kv2/data/", 1)
		f.on(at, says(http.StatusNotFound))
		began := time.Now()
		for range 100 {
			if _, err := st.Resolve(t.Context(), ref(path)); err == nil || err.Error() != "there is no such secret" {
				t.Fatal(err)
			}
		}
		if n, most := f.times(at), 1+int(time.Since(began)/absentFor); n > most {
			t.Errorf("%s: %d questions in %v", path, n, time.Since(began))
		}
		f.on(at, gives(version2))
		if _, err := st.WriteSecret(t.Context(), ref("kv/y"), []byte("v")); err != nil {
			t.Fatal(err)
		}
		if _, err := st.Resolve(t.Context(), ref(path)); err != nil {
			t.Errorf("%s, after something was written: %v", path, err)
		}
	}
}

// What was asked before a write says nothing of what there is after it.
func TestAbsenceOfBeforeAWrite(t *testing.T) {
	t.Parallel()
	var a absences
	before := time.Now()
	a.forget(before.Add(time.Millisecond))
	a.keep(ref("kv/x"), before)
	if a.has(ref("kv/x"), before) {
		t.Error("it is remembered")
	}
	after := before.Add(time.Second)
	for i := range 2 * maxAbsent {
		a.keep(ref(fmt.Sprint("kv/", i)), after)
	}
	if n := len(a.until); n > maxAbsent {
		t.Errorf("%d are remembered", n)
	}
	if a.keep(ref("kv/x"), after); !a.has(ref("kv/x"), after) || a.has(ref("kv/x?=version=1"), after) || a.has(ref("kv/x"), after.Add(absentFor)) {
		t.Error("it is not remembered as it should")
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	st := f.open(t, nil)
	f.on("GET kv2/data/x", gives(version2))
	must(t, st, "kv2/x?=version=1")
	asked := f.times("GET kv2/data/x")
	for _, v := range []string{"0", "-1", "1.0", "01", "99999999999999999999", "latest"} {
		if _, err := st.Resolve(t.Context(), ref("kv2/x?=version="+v)); err == nil || !strings.Contains(err.Error(), "a version is a number here") {
			t.Errorf("%s: %v", v, err)
		}
	}
	if n := f.times("GET kv2/data/x"); n != asked {
		t.Errorf("the server was asked %d times", n-asked)
	}
}

// A secret has 64 KiB at most, read or written.
func TestSizeOfASecret(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	st := f.open(t, nil)
	for _, x := range []struct {
		size int
		ok   bool
	}{{64 << 10, true}, {64<<10 + 1, false}} {
		value := bytes.Repeat([]byte("x"), x.size)
		f.on("GET kv/x", gives(fmt.Sprintf(`{"request_id":"r","data":{%q:%q}}`, fieldText, value)))
		v, err := st.Resolve(t.Context(), ref("kv/x"))
		if x.ok != (err == nil) || x.ok != bytes.Equal(v.Reveal(), value) {
			t.Errorf("%d bytes are read: %v", x.size, err)
		}
		before := f.times("POST kv/x")
		if _, err := st.WriteSecret(t.Context(), ref("kv/x"), value); x.ok != (err == nil) || x.ok != (f.times("POST kv/x") > before) {
			t.Errorf("%d bytes are written: %v", x.size, err)
		}
	}
}

// A store can do its work if its login is let in, whatever else its token may.
func TestCheck(t *testing.T) {
	t.Parallel()
	for what, x := range map[string]struct {
		at   string
		h    http.HandlerFunc
		want string // "": it can
	}{
		"well":                            {"", nil, ""},
		"a token that may not ask that":   {"GET auth/token/lookup-self", says(http.StatusForbidden, "permission denied"), ""},
		"a token that is not valid":       {"GET auth/token/lookup-self", says(http.StatusForbidden, "permission denied", "invalid token"), "invalid token"},
		"a login that is refused":         {"PUT auth/approle/login", says(http.StatusBadRequest, "invalid role or secret ID"), "login: AppRole: the server answers 400: invalid role or secret ID"},
		"a server that does not do a bit": {"GET auth/token/lookup-self", says(http.StatusServiceUnavailable, "Vault is sealed"), "sealed"},
	} {
		f := newFake(t)
		f.on(x.at, x.h)
		f.on(strings.Replace(x.at, "PUT", "POST", 1), x.h)
		err := f.open(t, nil).Check(t.Context())
		if x.want == "" && err != nil || x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want)) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
