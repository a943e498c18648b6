package redact

import (
	"maps"
	"slices"
	"strings"
)

const (
	// Piece is how many bytes in a row of a secret are not shown: whoever writes a text may cut it, or a secret in it.
	Piece = 12
	// Least is the length of the shortest secret that is looked for: others may stand in a text by chance.
	Least = 7
)

// Set is secrets to be found in texts. The zero value has none. Texts may be looked at concurrently, but not while a secret is added.
type Set struct {
	pieces, long map[string]string // runs of Piece and of twice as many bytes -> whose they are
	words        map[string]string // forms that are shorter than a piece
}

// Add adds a secret, with all forms of it. name says which it is. One that is shorter than [Least] is left out.
func (s *Set) Add(name, secret string) {
	if len(secret) < Least {
		return
	}
	for _, f := range forms(secret) {
		s.add(name, f)
	}
}

// AddPlain adds a secret as it is, for many of one kind of which some were added with all forms.
func (s *Set) AddPlain(name, secret string) {
	if len(secret) >= Least {
		s.add(name, form{secret, Piece})
	}
}

func (s *Set) add(name string, f form) {
	if s.pieces == nil {
		s.pieces, s.long, s.words = map[string]string{}, map[string]string{}, map[string]string{}
	}
	to := s.pieces
	if f.piece > Piece {
		to = s.long
	}
	for i := 0; i+f.piece <= len(f.text); i++ {
		to[f.text[i:i+f.piece]] = name
	}
	if len(f.text) < f.piece && len(f.text) >= Least {
		s.words[f.text] = name
	}
}

// at gives whose piece begins at i of a text, and its length; 0 if none does.
func (s *Set) at(text string, i int) (name string, length int) {
	if i+2*Piece <= len(text) {
		if name, found := s.long[text[i:i+2*Piece]]; found {
			return name, 2 * Piece
		}
	}
	if i+Piece <= len(text) {
		if name, found := s.pieces[text[i:i+Piece]]; found {
			return name, Piece
		}
	}
	return "", 0
}

// Find says which secret stands in a text, or a piece of it.
func (s *Set) Find(text string) (name string, found bool) {
	for i := range len(text) {
		if name, n := s.at(text, i); n > 0 {
			return name, true
		}
	}
	for _, word := range slices.Sorted(maps.Keys(s.words)) {
		if strings.Contains(text, word) {
			return s.words[word], true
		}
	}
	return "", false
}

// Hide gives a text with mark wherever a secret stands in it, or a piece of one.
func (s *Set) Hide(text, mark string) string {
	var out strings.Builder
	shown, end := 0, -1 // what is written; where the piece ends that was found last
	for i := range len(text) {
		_, n := s.at(text, i)
		if n == 0 {
			continue
		}
		if i > end {
			out.WriteString(text[shown:i])
			out.WriteString(mark)
		}
		end = max(end, i+n)
		shown = end
	}
	out.WriteString(text[shown:])
	text = out.String()
	for _, word := range slices.SortedFunc(maps.Keys(s.words), longest) {
		text = strings.ReplaceAll(text, word, mark)
	}
	return text
}

func longest(a, b string) int { return len(b) - len(a) }
