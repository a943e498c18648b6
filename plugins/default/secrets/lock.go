package secrets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

const (
	lockFile  = ".lock"
	lockPause = 2 * time.Millisecond
)

// lock waits until nobody else, in this process or another one, changes the folder, which is made if it is not there.
func (f *folder) lock(ctx context.Context) (unlock func(), err error) {
	root, err := f.made()
	if err != nil {
		return nil, err
	}
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("%s is being changed: %w", f.dir, ctx.Err())
	}
	defer func() {
		if err != nil {
			<-f.turn
		}
	}()
	if err := regular(root, f.dir, lockFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	file, err := root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	if err := f.give(root, file); err != nil {
		return nil, err
	}
	if err := f.flock(ctx, file); err != nil {
		return nil, err
	}
	if !f.swept {
		if err := sweep(root); err != nil {
			return nil, err
		}
		f.swept = true
	}
	return func() {
		_ = file.Close() // ends the lock
		<-f.turn
	}, nil
}

// flock waits for the lock on a file.
func (f *folder) flock(ctx context.Context, file *os.File) error {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("%s cannot be locked: %w", f.dir, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is locked by another process: %w", f.dir, ctx.Err())
		case <-time.After(lockPause):
		}
	}
}
