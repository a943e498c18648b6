package client

import "regexp"

var (
	mountPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)
	dots         = regexp.MustCompile(`(^|/)\.\.?(/|$)`)
)

// IsMount says whether a text may be where something is mounted: names with slashes in between.
func IsMount(text string) bool { return mountPattern.MatchString(text) && !dots.MatchString(text) }
