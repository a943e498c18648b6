package proxy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// spoolMemory is how many bytes of a body are kept in memory before a file takes over.
const spoolMemory = 1 << 20

// spooled is a whole body, with its hash.
type spooled struct {
	size int64
	hash string // SHA-256 in hex

	memory []byte
	file   *os.File // what does not fit into memory; it has no name any more
}

// spool reads a body of at most limit bytes. Of one whose length is known and beyond it nothing is read.
func spool(body io.Reader, length, limit int64) (_ *spooled, f *fault) {
	tooLarge := &fault{http.StatusRequestEntityTooLarge, codeTooLarge,
		fmt.Sprintf("the signature covers the body, and one of more than %d bytes is not kept to be hashed (--max-body): have the client send its SHA-256 in X-Amz-Content-Sha256", limit), nil}
	if length > limit {
		return nil, tooLarge
	}
	s := &spooled{}
	defer func() {
		if f != nil {
			s.close()
		}
	}()
	sum := sha256.New()
	in := io.TeeReader(io.LimitReader(body, limit+1), sum)
	var head bytes.Buffer
	n, err := io.CopyN(&head, in, min(spoolMemory, limit+1))
	s.memory, s.size = head.Bytes(), n
	if err == nil { // there may be more
		if s.file, err = unnamed(); err != nil {
			return nil, &fault{http.StatusServiceUnavailable, codeSpool, "the body cannot be kept on disk", err}
		}
		n, err = io.Copy(&failing{w: s.file}, in)
		s.size += n
	} else if errors.Is(err, io.EOF) {
		err = nil
	}
	var disk *diskError
	switch {
	case errors.As(err, &disk):
		return nil, &fault{http.StatusServiceUnavailable, codeSpool, "the body cannot be kept on disk", err}
	case err != nil:
		return nil, bodyFault(err)
	case s.size > limit:
		return nil, tooLarge
	}
	s.hash = hex.EncodeToString(sum.Sum(nil))
	return s, nil
}

// unnamed makes a file that nobody else can open, and that is gone when it is closed.
func unnamed() (*os.File, error) {
	f, err := os.CreateTemp("", "realmgate-proxy-") // 0600 by itself
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// diskError tells a fault of ours from one of the client.
type diskError struct{ error }

type failing struct{ w io.Writer }

func (f *failing) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	if err != nil {
		err = &diskError{err}
	}
	return n, err
}

// reader gives the body from its beginning.
func (s *spooled) reader() io.Reader {
	if s.file == nil {
		return bytes.NewReader(s.memory)
	}
	return io.MultiReader(bytes.NewReader(s.memory), io.NewSectionReader(s.file, 0, s.size-int64(len(s.memory))))
}

func (s *spooled) close() {
	if s != nil && s.file != nil {
		_ = s.file.Close()
	}
}
