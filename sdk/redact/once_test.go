package redact

import (
	"strings"
	"testing"
)

// TestHideAsASetDoes: what is looked at once comes out as of a set that is kept.
func TestHideAsASetDoes(t *testing.T) {
	t.Parallel()
	const secret, short = "line one\nof a <secret> & \"more\"", "hunter2"
	var set Set
	set.Add("", secret)
	set.Add("", short)
	texts := []string{"", "x", "nothing of it", "it is " + short + ".", "cut: " + secret[5:25], strings.ToUpper(secret), "hunter", secret + secret}
	for _, f := range append(forms(secret), forms(short)...) {
		texts = append(texts, f.text, "a "+f.text+" b", f.text[:len(f.text)-1])
	}
	for _, text := range texts {
		if got, want := Hide(text, "[secret]", secret, short, "x", ""), set.Hide(text, "[secret]"); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := Hide("it is hunter2.", "[secret]", short); got != "it is [secret]." {
		t.Error(got)
	}
	if got := Hide("it is hunter2.", "[secret]"); got != "it is hunter2." {
		t.Error(got)
	}
}

func BenchmarkHide(b *testing.B) {
	key := strings.Repeat("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n", 26)
	b.Run("long key", func(b *testing.B) {
		for b.Loop() {
			Hide("the token is not signed by a key that is known here", "[secret]", key)
		}
	})
	b.Run("set of it", func(b *testing.B) { // the baseline
		for b.Loop() {
			var s Set
			s.Add("", key)
			s.Hide("the token is not signed by a key that is known here", "[secret]")
		}
	})
}
