package sdk

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time in settings: ISO 8601 (PT1H30M, P1D) or Go (1h30m). A day has 24 hours; weeks are taken,
// years and months are not, since they have no fixed length.
type Duration time.Duration

// ParseDuration parses either form; a negative duration is an error.
func ParseDuration(text string) (Duration, error) {
	if strings.HasPrefix(text, "P") {
		return parseISO(text)
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration; write PT1H or 1h", text)
	}
	return Duration(d), nil
}

func parseISO(text string) (Duration, error) {
	bad := fmt.Errorf("%q is not an ISO 8601 duration of weeks, days, hours, minutes and seconds; write PT1H or P1D", text)
	date, clock, hasClock := strings.Cut(text[1:], "T")
	if text == "P" || hasClock && clock == "" {
		return 0, bad
	}
	var total float64
	for _, part := range []struct{ text, units string }{{date, "WD"}, {clock, "HMS"}} {
		rest, units := part.text, part.units
		for rest != "" {
			i := strings.IndexAny(rest, "WDHMSY")
			if i < 1 {
				return 0, bad
			}
			at := strings.IndexByte(units, rest[i])
			if at < 0 || strings.Trim(rest[:i], "0123456789.") != "" {
				return 0, bad
			}
			n, err := strconv.ParseFloat(rest[:i], 64)
			if err != nil || strings.Contains(rest[:i], ".") && rest[i] != 'S' {
				return 0, bad
			}
			total += n * seconds[rest[i]]
			units, rest = units[at+1:], rest[i+1:]
		}
	}
	if total > math.MaxInt64/float64(time.Second)-1 {
		return 0, errors.New("a duration is too long")
	}
	return Duration(math.Round(total * float64(time.Second))), nil
}

var seconds = map[byte]float64{'W': 7 * 86400, 'D': 86400, 'H': 3600, 'M': 60, 'S': 1}

// Std gives d as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String gives Go's form.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText gives Go's form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText parses either form.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}
