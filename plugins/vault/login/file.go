package login

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk/egress"
)

// maxFile bounds a file with a token.
const maxFile = 64 << 10

// stamp tells one content of a file from another without reading it; the zero stamp is that of no file.
type stamp struct {
	at   time.Time
	size int64
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{at: info.ModTime(), size: info.Size()}
}

// readSecret gives the content of a file without white space around it. private: others must not have access to it.
func readSecret(path string, private bool) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", path)
	case private && info.Mode().Perm()&0o007 != 0:
		return "", fmt.Errorf("%s is accessible to others (mode %#o)", path, info.Mode().Perm())
	}
	raw, err := egress.ReadAll(f, maxFile)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	text := strings.TrimSpace(string(raw))
	if text == "" {
		return "", errors.New(path + " is empty")
	}
	return text, nil
}
