package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/term"

	"github.com/realmgate/realmgate/host/directory"
)

// rootCredentials shows the secret of a first start: on a terminal, else in a file that only its owner can read. It never
// goes to a log.
type rootCredentials struct {
	out      *os.File  // nil: the file in any case
	note     io.Writer // takes the name of the file; not out, which may be somebody's audit log
	file     string    // used if out is no terminal
	endpoint func(realm string) string
	scope    string // that asks for every role
}

// rootEntry is what the file keeps of one realm.
type rootEntry struct {
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"`
	Try          []string `json:"try"`
}

type rootFile struct {
	Realms map[string]rootEntry `json:"realms"`
}

// show is given to directory.BootstrapAll, which keeps the principals only if show succeeds.
func (r rootCredentials) show(all []directory.Root) error {
	terminal := r.out != nil && term.IsTerminal(int(r.out.Fd()))
	fresh := map[string]rootEntry{}
	for _, p := range all {
		e := r.entry(p)
		if fresh[p.Realm] = e; !terminal {
			continue
		}
		if err := r.print(r.out, p.Principal, e); err != nil {
			return err
		}
	}
	if terminal {
		return nil
	}
	if err := r.write(fresh); err != nil {
		return err
	}
	_, err := fmt.Fprintf(r.note, "%s: the root principal was created; client id and secret, with commands to try, are in %s\n",
		realmsNamed(slices.Sorted(maps.Keys(fresh))), r.file)
	return err
}

func (r rootCredentials) entry(p directory.Root) rootEntry {
	e := rootEntry{ClientID: p.Secret.ClientID, ClientSecret: string(p.Secret.Secret.Reveal())}
	base := r.endpoint(p.Realm)
	// No line has a character that JSON escapes: they can be copied out of the file as they stand.
	e.Try = []string{
		fmt.Sprintf(`TOKEN=$(curl -s -u '%s:%s' -d grant_type=client_credentials -d scope=%s %s/v1/oauth/tokens | tr -cs 'A-Za-z0-9._-' ' ' | cut -d' ' -f3)`,
			e.ClientID, e.ClientSecret, r.scope, base),
		fmt.Sprintf(`curl -i -H 'Authorization: Bearer '$TOKEN %s/v1/check`, base),
		fmt.Sprintf(`curl -i -H 'Authorization: Bearer '${TOKEN}x %s/v1/check`, base),
	}
	return e
}

func (r rootCredentials) print(w io.Writer, p directory.Principal, e rootEntry) error {
	_, err := fmt.Fprintf(w, `
realm %s: the root principal was created. Its secret is shown this once:

  client id      %s
  client secret  %s

Get a token, check it, and see a denial:

  %s
  %s
  %s

`, p.Realm, e.ClientID, e.ClientSecret, e.Try[0], e.Try[1], e.Try[2])
	return err
}

// write adds realms to the file. The new content replaces the file in one step, and is there after a power cut: the principals
// are, too.
func (r rootCredentials) write(fresh map[string]rootEntry) error {
	f := rootFile{Realms: map[string]rootEntry{}}
	old, err := os.ReadFile(r.file)
	switch {
	case err == nil:
		if err := json.Unmarshal(old, &f); err != nil || f.Realms == nil {
			return fmt.Errorf("%s is in the way of the root credentials: it is not such a file", r.file)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("keep root credentials: %w", err)
	}
	maps.Copy(f.Realms, fresh)
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("keep root credentials: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(r.file), 0o700); err != nil {
		return fmt.Errorf("keep root credentials: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(r.file), ".root-credentials-*") // 0600 by itself
	if err != nil {
		return fmt.Errorf("keep root credentials: %w", err)
	}
	_, werr := tmp.Write(append(text, '\n'))
	if err := errors.Join(werr, tmp.Sync(), tmp.Close()); err != nil {
		return errors.Join(fmt.Errorf("keep root credentials: %w", err), os.Remove(tmp.Name()))
	}
	if err := errors.Join(os.Rename(tmp.Name(), r.file), syncFolder(filepath.Dir(r.file))); err != nil {
		return fmt.Errorf("keep root credentials: %w", err)
	}
	return nil
}

// syncFolder makes the names in a folder last over a power cut, where the file system can.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	if err = d.Sync(); errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
