package mac

import (
	"strings"
	"sync"
	"testing"
)

func sum(h *Hasher, n uint64, parts ...string) Sum {
	l := h.Begin()
	l.Number(n)
	for _, p := range parts {
		l.Text(p)
	}
	return l.Sum()
}

func TestSum(t *testing.T) {
	t.Parallel()
	h := New()
	one := sum(h, 1, "realm", "token")
	sum(h, 9, strings.Repeat("x", 5000)) // nothing of a list is in the next one
	if sum(h, 1, "realm", "token") != one {
		t.Error("the same values have two sums")
	}
	l := h.Begin()
	l.Number(1)
	l.Bytes([]byte("realm"))
	l.Text("token")
	if l.Sum() != one {
		t.Error("bytes are not what a string is")
	}
	for name, other := range map[string]Sum{
		"another number":    sum(h, 2, "realm", "token"),
		"another text":      sum(h, 1, "realm", "tokem"),
		"cut elsewhere":     sum(h, 1, "realmt", "oken"),
		"an empty one more": sum(h, 1, "realm", "token", ""),
		"another secret":    sum(New(), 1, "realm", "token"),
	} {
		if other == one {
			t.Errorf("%s: the same sum", name)
		}
	}
}

func TestSideBySide(t *testing.T) {
	t.Parallel()
	h := New()
	want := [4]Sum{}
	for i := range want {
		want[i] = sum(h, uint64(i), strings.Repeat("x", i*300))
	}
	var wg sync.WaitGroup
	for i := range want {
		wg.Go(func() {
			for range 200 {
				if sum(h, uint64(i), strings.Repeat("x", i*300)) != want[i] {
					t.Error("another sum beside others")
				}
			}
		})
	}
	wg.Wait()
}
