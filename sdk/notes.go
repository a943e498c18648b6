package sdk

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// Bounds of what stages note of one decision.
const (
	maxNotes = 100
	maxNote  = 512 // bytes
)

// Notes are what stages tell of their work on a decision that is explained to an operator: which claim a path found, what a
// filter left out. They are shown, so they have no secret and no token. A nil *Notes takes none. It is safe for concurrent use.
type Notes struct {
	mu   sync.Mutex
	list []string
}

// NotesOf gives what takes the notes of the stage that is running; nil unless its decision is explained, which few are. A stage
// that has to work for a note asks first:
//
//	if n := sdk.NotesOf(ctx); n != nil {
//		n.Add("the claim %s is %q", path, value)
//	}
func NotesOf(ctx context.Context) *Notes {
	if b, ok := ctx.Value(hintKey{}).(*hintBox); ok {
		return b.notes
	}
	return nil
}

// Add adds a note, of one line. What is too long is cut, and what is too much is left out.
func (n *Notes) Add(format string, args ...any) {
	if n == nil {
		return
	}
	s := fmt.Sprintf(format, args...)
	s = strings.ToValidUTF8(strings.ReplaceAll(s[:min(len(s), maxNote)], "\n", " "), "")
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.list) < maxNotes {
		n.list = append(n.list, s)
	}
}

// List gives the notes in their order.
func (n *Notes) List() []string {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.list...)
}
