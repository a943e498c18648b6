package audit

import (
	"errors"
	"os"
)

// errOwned says that two would write one log, and rotate it under each other.
var errOwned = errors.New("another daemon writes to it: give each daemon an audit { path } of its own")

// owner holds the lock of a log file for as long as it is written to. The lock is a file beside it, since the log itself is
// moved when it is rotated; it stays, since who removes it may take it from another.
type owner struct {
	path string
	lock *os.File // nil: it is not held
}

// take takes the lock, unless it is held still: somebody may have removed its file, with all the folder.
func (o *owner) take() error {
	if o.held() {
		return nil
	}
	if err := o.release(); err != nil {
		return err
	}
	lock, err := os.OpenFile(o.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := tryLock(lock); err != nil {
		return errors.Join(err, lock.Close())
	}
	o.lock = lock
	return nil
}

func (o *owner) held() bool {
	if o.lock == nil {
		return false
	}
	mine, err1 := o.lock.Stat()
	there, err2 := os.Stat(o.path)
	return err1 == nil && err2 == nil && os.SameFile(mine, there)
}

func (o *owner) release() error {
	if o.lock == nil {
		return nil
	}
	err := o.lock.Close()
	o.lock = nil
	return err
}
