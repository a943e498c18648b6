package server

import "strings"

// encode percent-encodes every byte but the unreserved characters of RFC 3986, so that no name can be taken for another,
// for a list, or for the end of a header.
func encode(s string) string {
	if unreserved.of(s) {
		return s
	}
	var b strings.Builder
	b.Grow(encodedLen(s))
	encodeTo(&b, s)
	return b.String()
}

// encodeAll encodes the items of a list, with commas between them.
func encodeAll(list []string) string {
	if len(list) == 1 {
		return encode(list[0])
	}
	var b strings.Builder
	b.Grow(encodedListLen(list))
	for i, s := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		encodeTo(&b, s)
	}
	return b.String()
}

func encodeTo(b *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; unreserved.has(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
}

func encodedLen(s string) int {
	n := len(s)
	for i := range len(s) {
		if !unreserved.has(s[i]) {
			n += 2
		}
	}
	return n
}

// encodedListLen gives the length of what encodeAll gives.
func encodedListLen(list []string) int {
	n := max(0, len(list)-1)
	for _, s := range list {
		n += encodedLen(s)
	}
	return n
}
