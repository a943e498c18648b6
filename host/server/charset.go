package server

// charset says of each byte whether it belongs to a set. Texts of requests are long, and looked at each time.
type charset [256]bool

// alnumAnd gives ASCII letters, digits and further bytes.
func alnumAnd(further string) *charset {
	var cs charset
	for c := range cs {
		cs[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
	}
	for i := range len(further) {
		cs[further[i]] = true
	}
	return &cs
}

// of says whether a text is made of the set's bytes alone.
func (cs *charset) of(s string) bool {
	for i := range len(s) {
		if !cs[s[i]] {
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
	unreserved   = alnumAnd("-._~") // RFC 3986 section 2.3
)
