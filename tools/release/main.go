package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

const usage = `usage: release check [ROOT]
       release set SET|all VERSION [ROOT]
       release tags SET|all [ROOT]
`

// Exit codes: 0 done, 1 failed, 2 the command line is wrong.
func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	err := errUsage
	if len(args) > 0 {
		switch name, args := args[0], args[1:]; name {
		case "check":
			err = with(args, 0, func(t *tree, _ []string) error { return t.check() })
		case "set":
			err = with(args, 2, func(t *tree, a []string) error { return t.set(a[0], a[1]) })
		case "tags":
			err = with(args, 1, func(t *tree, a []string) error { return t.printTags(a[0], stdout) })
		}
	}
	switch {
	case errors.Is(err, errUsage):
		_, _ = io.WriteString(stderr, usage)
		return 2
	case err != nil:
		_, _ = fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

var errUsage = errors.New("usage")

// with reads the tree that follows n arguments, or the one in the working directory.
func with(args []string, n int, do func(*tree, []string) error) error {
	root := "."
	switch len(args) {
	case n:
	case n + 1:
		root = args[n]
	default:
		return errUsage
	}
	t, err := read(root)
	if err != nil {
		return err
	}
	return do(t, args)
}
