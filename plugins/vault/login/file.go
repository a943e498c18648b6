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

// readSecret gives the content of a regular file without white space around it. private: others must not have access to it.
func readSecret(path string, private bool) (string, error) {
	raw, info, err := egress.ReadFile(path, maxFile)
	switch {
	case err != nil:
		return "", err
	case private && info.Mode().Perm()&0o007 != 0:
		return "", fmt.Errorf("%s is accessible to others (mode %#o)", path, info.Mode().Perm())
	}
	text := strings.TrimSpace(string(raw))
	if text == "" {
		return "", errors.New(path + " is empty")
	}
	return text, nil
}
