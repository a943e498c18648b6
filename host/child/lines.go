package child

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLine is how many bytes of one line of a plugin's output are looked at.
const maxLine = 8 << 10

const cutMark = " [cut]"

// lineWriter cuts what is written to it into lines and hands each on, without its end and no longer than maxLine; the rest
// of a longer line is dropped. It is not safe for concurrent use.
type lineWriter struct {
	emit func(line []byte, cut bool)
	all  func([]byte) // is told of all that is written, as it comes; nil: nobody is
	buf  []byte
	over bool // the current line is longer than maxLine
}

// Write never fails.
func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	if w.all != nil {
		w.all(p)
	}
	for len(p) > 0 {
		line, rest, ended := bytes.Cut(p, []byte{'\n'})
		if room := maxLine - len(w.buf); len(line) > room {
			line, w.over = line[:room], true
		}
		w.buf = append(w.buf, line...)
		if ended {
			w.flush()
		}
		p = rest
	}
	return n, nil
}

// flush hands on what is left of a line without an end.
func (w *lineWriter) flush() {
	if len(w.buf) > 0 {
		w.emit(bytes.TrimSuffix(w.buf, []byte{'\r'}), w.over)
	}
	w.buf, w.over = w.buf[:0], false
}

// Printable makes text of foreign origin fit for one line of a log or an error: white space becomes a blank, control and
// invisible format characters go, and no more than limit bytes stay.
func Printable(s string, limit int) string {
	cut := false
	if len(s) > limit {
		s, cut = s[:limit], true
		for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) { // not in the middle of a character
			s = s[:len(s)-1]
		}
		if len(s) > 0 && s[len(s)-1] >= utf8.RuneSelf {
			s = s[:len(s)-1]
		}
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if cut {
		s += cutMark
	}
	return s
}
