package token

import (
	"slices"
	"strings"
)

// maxScope bounds a scope in bytes: it ends up in the token, and tokens of more than 16 KiB are not accepted.
const maxScope = 4 << 10

// requested gives the items of the scope that a form asks for, or of the default one.
func (s *Service) requested(f form) ([]string, *Fault) {
	items, fault := s.scope(f.scope)
	if fault != nil {
		return nil, fault
	}
	if len(items) == 0 {
		items = s.defaultScope
	}
	if len(items) == 0 {
		return nil, refuse(CodeInvalidScope, "a scope is required: items of the form "+s.c.RolePrefix+"<role>")
	}
	return items, nil
}

// scope parses a scope (RFC 6749 section 3.3), applies the aliases, drops repeats, and refuses every item that is not a
// role with its prefix. Order is kept.
func (s *Service) scope(text string) ([]string, *Fault) {
	if len(text) > maxScope {
		return nil, refuse(CodeInvalidScope, "the scope is too long")
	}
	var out []string
	size := 0
	for item := range strings.SplitSeq(text, " ") {
		if item == "" {
			continue
		}
		if !isScopeToken(item) {
			return nil, refuse(CodeInvalidScope, "the scope has a character that RFC 6749 section 3.3 does not allow")
		}
		for _, role := range s.unalias(item) {
			if slices.Contains(out, role) {
				continue
			}
			if !s.isRole(role) {
				return nil, refuse(CodeInvalidScope, "every item of a scope has the form "+s.c.RolePrefix+"<role>")
			}
			if size += len(role) + 1; size > maxScope {
				return nil, refuse(CodeInvalidScope, "the scope is too long")
			}
			out = append(out, role)
		}
	}
	return out, nil
}

// unalias gives what an item stands for; what an alias stands for is not looked up again.
func (s *Service) unalias(item string) []string {
	if to, ok := s.aliases[item]; ok {
		return to
	}
	return []string{item}
}

func (s *Service) isRole(item string) bool {
	return isScopeToken(item) && len(item) > len(s.c.RolePrefix) && strings.HasPrefix(item, s.c.RolePrefix)
}

// isScopeToken follows the grammar of scope-token: printable ASCII without space, " and \.
func isScopeToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return s != ""
}
