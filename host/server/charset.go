package server

// charset has a 1 for each byte that does not belong to a set. Texts of requests are long, and looked at each time.
type charset [256]byte

// alnumAnd gives ASCII letters, digits and further bytes.
func alnumAnd(further string) *charset {
	var cs charset
	for c := range cs {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			cs[c] = 1
		}
	}
	for i := range len(further) {
		cs[further[i]] = 0
	}
	return &cs
}

// has says whether a byte belongs to the set.
func (cs *charset) has(c byte) bool { return cs[c] == 0 }

// of says whether a text is made of the set's bytes alone. There is a branch for eight of them.
func (cs *charset) of(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		if cs[s[0]]|cs[s[1]]|cs[s[2]]|cs[s[3]]|cs[s[4]]|cs[s[5]]|cs[s[6]]|cs[s[7]] != 0 {
			return false
		}
	}
	for i := range len(s) {
		if cs[s[i]] != 0 {
			return false
		}
	}
	return true
}

var (
	schemeBytes  = alnumAnd("!#$%&'*+-.^_`|~") // RFC 9110 section 5.6.2
	token68Bytes = alnumAnd("-._~+/")          // RFC 9110 section 11.2, without the padding
	methodBytes  = alnumAnd("-_")
	hostBytes    = alnumAnd("-._:[]")
	idBytes      = alnumAnd("-_.:")
	realmBytes   = alnumAnd("._-")
	unreserved   = alnumAnd("-._~")                            // RFC 3986 section 2.3
	plainBytes   = alnumAnd(" !#$%&'()*+,-./:;<=>?@[]^_`{|}~") // RFC 8259 section 7: what a string of JSON has as it is
)
