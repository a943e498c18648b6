package secrets

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// format is the number of the form that documents have.
const format = 1

// maxDocument bounds a document in bytes.
const maxDocument = 2 << 20

// document is the file of one secret. Store and path are there for people; what counts is that each version was sealed for
// them.
type document struct {
	Format   int       `json:"format"`
	Store    string    `json:"store"`
	Path     string    `json:"path"`
	Versions []version `json:"versions"` // oldest first
}

// version is one sealed value.
type version struct {
	Number  int64     `json:"version"`
	Created time.Time `json:"created"`
	Key     string    `json:"key"` // id of the key that sealed it
	Box     []byte    `json:"sealed"`
}

// fileName names the file of a secret. It is a hash, so that no path, however long or odd, leads elsewhere, and names that
// differ in case only do not meet on a disk that knows no case.
func fileName(store, path string) string {
	sum := sha256.Sum256(joined(store, path))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])) + suffix
}

var errDamaged = errors.New("the file is damaged")

func parseDocument(raw []byte) (*document, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	doc := &document{}
	if err := d.Decode(doc); err != nil || d.More() {
		return nil, errDamaged // what is wrong with it in detail might repeat what is in it
	}
	if doc.Format != format {
		return nil, fmt.Errorf("the file has the format %d; this program knows format %d", doc.Format, format)
	}
	for i, v := range doc.Versions {
		if v.Number < 1 || i > 0 && v.Number != doc.Versions[i-1].Number+1 {
			return nil, errDamaged
		}
	}
	if len(doc.Versions) == 0 || len(doc.Versions) > maxVersions {
		return nil, errDamaged
	}
	return doc, nil
}

func (d *document) latest() version { return d.Versions[len(d.Versions)-1] }

// version gives the version with a number, the latest for an empty one.
func (d *document) version(number string) (version, error) {
	if number == "" {
		return d.latest(), nil
	}
	for _, v := range d.Versions {
		if fmt.Sprint(v.Number) == number {
			return v, nil
		}
	}
	return version{}, fmt.Errorf("there is no version %s; versions %d to %d are kept", number, d.Versions[0].Number, d.latest().Number)
}
