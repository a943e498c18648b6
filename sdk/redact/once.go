package redact

import "strings"

// Hide gives a text with mark wherever one of some secrets stands in it, or a piece of one. Nothing is kept of the secrets, and the
// time goes with their length: it is for short texts that are looked at once, where a [Set] of each would be too many.
func Hide(text, mark string, secrets ...string) string {
	if len(secrets) == 0 || len(text) < Least {
		return text
	}
	var pairs [1 << 10]uint64 // two bytes in a row that the text has
	for i := range len(text) - 1 {
		p := pair(text, i)
		pairs[p>>6] |= 1 << (p & 63)
	}
	has := func(s string, i int) bool { p := pair(s, i); return pairs[p>>6]&(1<<(p&63)) != 0 }
	var found Set
	for _, secret := range secrets {
		if len(secret) < Least {
			continue
		}
		for _, f := range forms(secret) {
			n := min(f.piece, len(f.text))
			if n < Least {
				continue
			}
			for i := 0; i+n <= len(f.text); i++ {
				if has(f.text, i) && has(f.text, i+n-2) && strings.Contains(text, f.text[i:i+n]) {
					found.add("", form{f.text[i : i+n], f.piece})
				}
			}
		}
	}
	return found.Hide(text, mark)
}

func pair(s string, i int) uint16 { return uint16(s[i])<<8 | uint16(s[i+1]) }
