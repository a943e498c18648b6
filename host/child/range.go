package child

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"os/user"
	"strconv"
	"sync"
)

// Range is a range of user ids, the ends included, that are there for the processes of one plugin. The group of each has the
// same number.
type Range struct{ First, Last uint32 }

// size says how many there are.
func (r Range) size() uint32 { return r.Last - r.First + 1 }

// seats are the users of ranges that were given to somebody. A user is the same owner's for as long as there are seats: what
// one has left in the file system is never another one's.
type seats struct {
	dir string // where they are locked
	mu  sync.Mutex
	all map[uint32]*seat
}

type seat struct {
	owner string
	taken bool
	lock  *os.File
}

// Take gives a user of a range that no other process has, and that was never anybody's but owner's. It must be given back
// with [Starter.Give]. What it avoids: users that other daemons have taken from the range, and users of whom something runs.
func (s *Starter) Take(ctx context.Context, r Range, owner string) (User, error) {
	s.seats.mu.Lock()
	defer s.seats.mu.Unlock()
	for uid, x := range s.seats.all { // one that it had before
		if x.owner == owner && !x.taken && uid >= r.First && uid <= r.Last {
			x.taken = true
			return newOwn(uid), nil
		}
	}
	h := fnv.New32a() // so that a realm probably has the user that it had with the daemon before
	_, _ = h.Write([]byte(owner))
	start := h.Sum32() % r.size()
	for n := range r.size() {
		uid := r.First + (start+n)%r.size()
		if s.seats.all[uid] != nil {
			continue
		}
		if err := nobodys(uid); err != nil {
			return User{}, err
		}
		if err := newOwn(uid).admit(); err != nil {
			return User{}, fmt.Errorf("the user %d cannot be taken: %w", uid, err)
		}
		lock, err := lockSeat(ctx, s.seats.dir, uid)
		if err != nil {
			return User{}, err
		}
		if lock == nil {
			continue
		}
		if len(processesOf(uid)) > 0 {
			_ = lock.Close() // it was only locked
			continue
		}
		s.seats.all[uid] = &seat{owner: owner, taken: true, lock: lock}
		return newOwn(uid), nil
	}
	return User{}, fmt.Errorf("of the users %d-%d none is left: each realm and store needs one, which is never another one's as long as the daemon runs, "+
		"and needs another one while a new binary starts beside the old one", r.First, r.Last)
}

func newOwn(uid uint32) User { return User{UID: uid, GID: uid, Own: true} }

// Give gives back what Take gave; its processes have ended.
func (s *Starter) Give(u User) {
	s.seats.mu.Lock()
	defer s.seats.mu.Unlock()
	if x := s.seats.all[u.UID]; x != nil {
		x.taken = false
	}
}

// close frees the users for other daemons.
func (s *seats) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.all {
		_ = x.lock.Close() // it was only locked
	}
	s.all = map[uint32]*seat{}
}

// nobodys says that a user or group is one of the machine's, which is not the plugins' then.
func nobodys(uid uint32) error {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return fmt.Errorf("the user %d of the range is %s, a user of the machine: give a range of numbers that nobody has", uid, Printable(u.Username, 64))
	}
	if g, err := user.LookupGroupId(id); err == nil {
		return fmt.Errorf("the group %d of the range is %s, a group of the machine: give a range of numbers that nobody has", uid, Printable(g.Name, 64))
	}
	return nil
}
