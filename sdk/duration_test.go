package sdk

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"PT1H": time.Hour, "PT1H30M": 90 * time.Minute, "P1D": 24 * time.Hour, "P1DT12H": 36 * time.Hour, "P2W": 14 * 24 * time.Hour,
		"PT0.5S": 500 * time.Millisecond, "PT30S": 30 * time.Second, "PT0S": 0, "1h30m": 90 * time.Minute, "250ms": 250 * time.Millisecond, "0": 0,
	} {
		got, err := ParseDuration(text)
		if err != nil || got.Std() != want {
			t.Errorf("%q: %v %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "P", "PT", "P1DT", "1", "-1h", "-PT1H", "P-1D", "PT-1H", "P1Y", "P1M", "PT1D", "P1H", "PT1.5H", "PT1H1H", "PT1M1H", "PT1..5S", "PT.S",
		"PTS", "PT1e3S", "PT1H ", "pt1h", "P1WT", "PT99999999999999999999H", "1x", "NaN", "PTInfS",
	} {
		if got, err := ParseDuration(text); err == nil || got != 0 {
			t.Errorf("%q gives %v", text, got)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"PT1H", "P1DT2H3M4.5S", "1h", "P1W", "-1s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("%q is negative: %v", text, d)
		}
		if again, err := ParseDuration(d.String()); err != nil || again != d {
			t.Fatalf("%q prints as %q, which is %v: %v", text, d, again, err)
		}
	})
}
