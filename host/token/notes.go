package token

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/realmgate/realmgate/host/audit"
)

// keyNotes is what the audit log was told of a realm's keys. Whoever changes keys does so in a folder or a secret store; the
// lines tell what became of it here: they are written when the daemon sees another set of keys, or a token of another key.
type keyNotes struct {
	realm     string
	timeout   time.Duration
	directory Directory
	audit     *audit.Log
	log       hclog.Logger
	now       func() time.Time

	publishing sync.Mutex // held by the one who notes a set
	kids       []string
	believed   []string // keys of the last set; used by one call of gone at a time

	mu      sync.Mutex
	head    string // header of the last token, which names its key
	signer  string
	former  string // signer before
	changed time.Time
}

// newKeyNotes gives those of a service and of those after it, of which they keep none.
func newKeyNotes(c Config) *keyNotes {
	return &keyNotes{realm: c.Realm, timeout: c.Timeout, directory: c.Directory, audit: c.Audit, log: c.Logger, now: c.Now}
}

// saw notes a set that the broker gave. Calls do not overlap.
func (n *keyNotes) saw(kids []string) {
	n.gone(kids)
	n.published(kids)
}

// published notes which keys the broker publishes. Verification does not wait for the audit log: a line that cannot be
// written is tried again with the next set.
func (n *keyNotes) published(kids []string) {
	n.publishing.Lock()
	defer n.publishing.Unlock()
	var told []string
	for _, kid := range kids {
		if slices.Contains(n.kids, kid) || n.record(audit.KeyPublish, kid) == nil {
			told = append(told, kid)
		}
	}
	for _, kid := range n.kids {
		if !slices.Contains(kids, kid) && n.record(audit.KeyRetire, kid) != nil {
			told = append(told, kid)
		}
	}
	n.kids = told
}

// gone ends what is remembered of the realm's decisions if a key is not in the set any more that was in the one before: tokens
// of that key may be remembered as good ones. It is tried again with the next set if the directory fails.
func (n *keyNotes) gone(kids []string) {
	if slices.ContainsFunc(n.believed, func(kid string) bool { return !slices.Contains(kids, kid) }) {
		ctx, cancel := context.WithTimeout(context.Background(), n.timeout)
		defer cancel()
		if err := n.directory.MoveEpoch(ctx, n.realm); err != nil {
			n.log.Error("a key is no longer accepted, but decisions on its tokens are remembered until their time is over", "realm", n.realm, "error", err)
			return
		}
	}
	n.believed = kids
}

// signed notes by which key a token is signed, before the token is sent. What is no JWT, or names no key, is not noted.
func (n *keyNotes) signed(token string) error {
	head, _, _ := strings.Cut(token, ".")
	n.mu.Lock()
	defer n.mu.Unlock()
	if head == n.head {
		return nil
	}
	kid := kidOf(head)
	if kid == "" || kid == n.signer {
		n.head = head
		return nil
	}
	if kid == n.former && n.now().Sub(n.changed) < n.timeout { // a request that was under way when the key changed
		return nil
	}
	if err := n.record(audit.KeySign, kid); err != nil {
		return err
	}
	n.head, n.signer, n.former, n.changed = head, kid, n.signer, n.now()
	return nil
}

// record writes a line that has no caller: whose request it was at which a change was seen says nothing about the change.
func (n *keyNotes) record(event, kid string) error {
	n.log.Info("signing keys changed", "realm", n.realm, "event", event, "kid", printable(kid))
	return n.audit.Record(context.Background(), audit.Event{Name: event, Outcome: audit.Done, Realm: n.realm, KeyID: printable(kid)})
}

// kidOf reads the kid of a JWS header (RFC 7515 section 4.1.4).
func kidOf(head string) string {
	var h struct {
		KeyID string `json:"kid"`
	}
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil || json.Unmarshal(raw, &h) != nil {
		return ""
	}
	return h.KeyID
}
