package config

import (
	"fmt"
	"slices"
	"strings"
)

// Suggest gives the one of the known names that was probably meant, or nothing.
func Suggest(given string, known []string) string {
	given = strings.ToLower(given)
	if len(given) > 128 { // nobody mistypes a name into this; the comparison is quadratic
		return ""
	}
	known = slices.Sorted(slices.Values(known))
	best, least := "", len(given)/3+2
	for _, name := range known {
		if d := distance(given, strings.ToLower(name), least); d < least && d < max(len(given), len(name))-1 {
			best, least = name, d
		}
	}
	return best
}

// maxListed is how many names a message lists.
const maxListed = 30

// meant is [Suggest] as the detail of a diagnostic: the suggestion, or what there is to choose from.
func meant(given string, known []string) string {
	if s := Suggest(given, known); s != "" {
		return fmt.Sprintf("Did you mean %q?", s)
	}
	if len(known) == 0 || len(known) > maxListed {
		return ""
	}
	return "There is: " + strings.Join(slices.Sorted(slices.Values(known)), ", ") + "."
}

// distance is the Levenshtein distance of two texts; limit or more is not told exactly.
func distance(a, b string, limit int) int {
	if diff := len(a) - len(b); diff >= limit || -diff >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
