package polaris

import (
	"fmt"
	"regexp"
	"strings"
)

// maxDepth bounds expressions in expressions; it is SmallRye Config's own.
const maxDepth = 32

// maxValue bounds what a value becomes with its expressions, in bytes: they can double at each level.
const maxValue = 1 << 16

// variableNames gives the names of environment variables by which MicroProfile Config finds a property.
func variableNames(key string) []string {
	replaced := unfit.ReplaceAllString(key, "_")
	return []string{key, replaced, strings.ToUpper(replaced)}
}

var (
	unfit    = regexp.MustCompile(`[^A-Za-z0-9]`)
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	whole    = regexp.MustCompile(`^\$\{([^{}:$]+)(:[^{}]*)?\}$`)
)

// expander evaluates expressions as SmallRye Config does: ${name}, ${name:default}, one in another, $${ and \${ for a literal ${.
type expander struct {
	lookup    func(name string) (value string, found bool, err error) // of a property or a variable, unexpanded
	remaining int                                                     // bytes
}

func (e *expander) expand(value string, depth int) (string, error) {
	if depth > maxDepth {
		return "", fmt.Errorf("its expressions refer to each other more than %d times", maxDepth)
	}
	var b strings.Builder
	for value != "" {
		i := strings.IndexByte(value, '$')
		if i < 0 || i == len(value)-1 {
			b.WriteString(value)
			break
		}
		escaped := i > 0 && value[i-1] == '\\'
		switch {
		case escaped:
			b.WriteString(value[:i-1] + "$")
			value = value[i+1:]
		case value[i+1] == '$':
			b.WriteString(value[:i+1])
			value = value[i+2:]
		case value[i+1] != '{':
			b.WriteString(value[:i+1])
			value = value[i+1:]
		default:
			b.WriteString(value[:i])
			inner, rest, ok := braces(value[i+1:])
			if !ok {
				return "", fmt.Errorf("an expression ${ has no end; a literal one is written $${")
			}
			text, err := e.evaluate(inner, depth)
			if err != nil {
				return "", err
			}
			b.WriteString(text)
			value = rest
		}
	}
	if e.remaining -= b.Len(); e.remaining < 0 {
		return "", fmt.Errorf("it is longer than %d bytes", maxValue)
	}
	return b.String(), nil
}

// evaluate gives what stands for the inside of ${...}.
func (e *expander) evaluate(inner string, depth int) (string, error) {
	name, otherwise, hasDefault := cutDefault(inner)
	name, err := e.expand(name, depth+1)
	if err != nil {
		return "", err
	}
	value, found, err := e.lookup(name)
	switch {
	case err != nil:
		return "", err
	case found:
		return e.expand(value, depth+1)
	case hasDefault:
		return e.expand(otherwise, depth+1)
	case variable.MatchString(name):
		return "", fmt.Errorf("${%s} has no value: set the variable for the import, or give the property a default", name)
	}
	return "", fmt.Errorf("an expression refers to what is neither a property of this file nor a variable, and has no default")
}

// braces splits {a}b into a and b.
func braces(s string) (inner, rest string, ok bool) {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return s[1:i], s[i+1:], true
			}
		}
	}
	return "", "", false
}

// cutDefault splits name:default at the first colon outside of braces.
func cutDefault(s string) (name, otherwise string, found bool) {
	depth := 0
	for i := range len(s) {
		switch {
		case s[i] == '{':
			depth++
		case s[i] == '}':
			depth--
		case s[i] == ':' && depth == 0:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
