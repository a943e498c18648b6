package token

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/singleflight"

	"github.com/realmgate/realmgate/sdk"
)

// How long published keys are kept.
const (
	defaultKeep = 5 * time.Minute // where the broker does not say
	leastKeep   = 5 * time.Second // whatever the broker says; also the pause after it failed
	mostKeep    = time.Hour
	mostStale   = time.Hour // beyond that, while the broker does not answer

	// askAgain is how soon the broker is asked anew, whatever others are told: after a leak the daemon itself must not go
	// on to publish a key that is no longer believed.
	askAgain = 2 * time.Second
)

// Bounds of what a broker may publish.
const (
	maxKeySet = 256 << 10
	maxKeys   = 64
)

// keySet keeps what a broker publishes until its time. One request at a time asks the broker; while it does not answer,
// the keys that it published last are served for a bounded time.
type keySet struct {
	publisher sdk.KeyPublisher
	timeout   time.Duration
	now       func() time.Time
	log       hclog.Logger
	realm     string
	notes     *keyNotes // are told of every set that the broker gave

	flight  singleflight.Group
	mu      sync.Mutex
	have    published
	asked   time.Time // when the broker gave it
	lastErr error
	retry   time.Time // no attempt before, after one that failed
}

// newKeySet gives the keys of a service and of those after it, of which it keeps none.
func newKeySet(c Config, notes *keyNotes) *keySet {
	return &keySet{publisher: c.Keys, timeout: c.Timeout, now: c.Now, log: c.Logger, realm: c.Realm, notes: notes}
}

// published is a checked key set.
type published struct {
	body  []byte
	kids  []string // of the keys
	algs  []string // of the keys, sorted
	until time.Time
}

// errNoKeys is for a realm whose broker publishes none.
var errNoKeys = errors.New("the token broker publishes no keys")

// get gives the current keys.
func (k *keySet) get(ctx context.Context) (published, error) {
	if k == nil {
		return published{}, errNoKeys
	}
	if p, done, err := k.kept(); done {
		return p, err
	}
	select {
	case a := <-k.fly(ctx):
		p, _ := a.Val.(published)
		return p, a.Err
	case <-ctx.Done():
		return published{}, ctx.Err()
	}
}

// look asks the broker if it is time to, without waiting for it, so that a change of the keys is noted when tokens are issued,
// too.
func (k *keySet) look(ctx context.Context) {
	if k == nil {
		return
	}
	if _, done, _ := k.kept(); !done {
		k.fly(ctx)
	}
}

// LookAtKeys sees to it that a change of the keys is noticed within seconds although nobody asks for tokens or keys. It does not
// wait.
func (s *Service) LookAtKeys(ctx context.Context) { s.keys.look(ctx) }

func (k *keySet) fly(ctx context.Context) <-chan singleflight.Result {
	return k.flight.DoChan("", func() (any, error) {
		if p, done, err := k.kept(); done { // another flight has landed just now
			return p, err
		}
		return k.fetch(context.WithoutCancel(ctx)) // others wait for it too
	})
}

// kept gives what is known without asking the broker; done says that it need not, or must not yet, be asked.
func (k *keySet) kept() (p published, done bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	switch {
	case k.have.body != nil && now.Before(k.have.until) && now.Before(k.asked.Add(askAgain)):
		return k.have, true, nil
	case !now.Before(k.retry):
		return published{}, false, nil
	case k.have.body != nil && now.Before(k.have.until.Add(mostStale)):
		return k.have, true, nil
	}
	return published{}, true, k.lastErr
}

func (k *keySet) fetch(ctx context.Context) (published, error) {
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	var p published
	var until time.Time
	err := sdk.Guard(func() error { // a panic here would be in a goroutine of its own
		raw, u, err := k.publisher.Keys(ctx)
		if err != nil {
			return err
		}
		until = u
		p, err = publicKeys(raw)
		return err
	})
	if err == nil {
		k.notes.saw(p.kids)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if err != nil {
		k.lastErr, k.retry = fmt.Errorf("keys: %w", err), now.Add(leastKeep)
		if k.have.body != nil && now.Before(k.have.until.Add(mostStale)) {
			k.log.Error("the token broker's keys cannot be read; those that it published last are served", "realm", k.realm, "error", err)
			return k.have, nil
		}
		return published{}, k.lastErr
	}
	if until.IsZero() {
		until = now.Add(defaultKeep)
	}
	k.asked = now
	p.until = now.Add(min(max(until.Sub(now), leastKeep), mostKeep))
	k.have = p
	return p, nil
}

// Members of a JSON Web Key (RFC 7517, RFC 7518 section 6, RFC 8037).
var (
	publicMembers  = []string{"kty", "use", "key_ops", "alg", "kid", "n", "e", "crv", "x", "y", "x5c", "x5t", "x5t#S256"}
	privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}
	keyTypes       = []string{"RSA", "EC", "OKP"}
)

// publicKeys checks what a broker wants to be published, and writes it anew: public members of public keys only. A set with
// a private or symmetric key is refused as a whole, since its broker has mistaken what it does.
func publicKeys(raw []byte) (p published, err error) {
	var in struct {
		Keys []map[string]any `json:"keys"`
	}
	if len(raw) > maxKeySet {
		return p, errors.New("the token broker's key set is too large")
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return p, errors.New("the token broker's key set is not JSON") // without its text, which may be a key
	}
	if len(in.Keys) == 0 || len(in.Keys) > maxKeys {
		return p, fmt.Errorf("the token broker's key set has %d keys", len(in.Keys))
	}
	var out struct {
		Keys []map[string]any `json:"keys"`
	}
	for _, k := range in.Keys {
		for _, m := range privateMembers {
			if _, ok := k[m]; ok {
				return p, errors.New("the token broker's key set has a private key in it")
			}
		}
		typ, _ := k["kty"].(string)
		kid, _ := k["kid"].(string)
		if !slices.Contains(keyTypes, typ) || kid == "" {
			return p, errors.New("the token broker's key set has a key without an id or that is not RSA, EC or OKP")
		}
		clean := map[string]any{}
		for _, m := range publicMembers {
			if v, ok := k[m]; ok {
				clean[m] = v
			}
		}
		out.Keys, p.kids = append(out.Keys, clean), append(p.kids, kid)
		if alg := algorithm(k); alg != "" && !slices.Contains(p.algs, alg) {
			p.algs = append(p.algs, alg)
		}
	}
	slices.Sort(p.algs)
	p.body, err = json.Marshal(out)
	return p, err
}

// algorithm gives the alg of a key, or the one that keys of its kind are used with.
func algorithm(k map[string]any) string {
	if alg, ok := k["alg"].(string); ok {
		return alg
	}
	crv, _ := k["crv"].(string)
	if k["kty"] == "RSA" {
		return "RS256"
	}
	return map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA"}[crv]
}

// ServeKeys gives the public keys of the realm's tokens as a JWK set (RFC 7517 section 5), to be kept for as long as the
// broker says.
func (s *Service) ServeKeys(w http.ResponseWriter, r *http.Request) {
	if !isGet(w, r) {
		return
	}
	p, err := s.keys.get(r.Context())
	switch {
	case errors.Is(err, errNoKeys):
		writeJSON(w, http.StatusNotFound, map[string]string{"reason": "no_keys", "message": "the tokens of this realm are not signed with a public key"})
	case err != nil:
		s.log(r).Error("keys are unavailable", "error", err)
		WriteUnavailable(w, r)
	default:
		writePublic(w, r, p.body, max(p.until.Sub(s.c.Now()), leastKeep))
	}
}

// isGet answers every other method.
func isGet(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	w.Header().Set("Allow", "GET, HEAD")
	writeJSON(w, http.StatusMethodNotAllowed, map[string]string{"reason": "method_not_allowed", "message": "GET and HEAD only"})
	return false
}

// writePublic writes JSON that anybody may keep for some time, with a tag to ask again by (RFC 9110 section 13.1.2).
func writePublic(w http.ResponseWriter, r *http.Request, body []byte, keep time.Duration) {
	sum := sha256.Sum256(body)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(keep.Seconds())))
	h.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:16])+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
