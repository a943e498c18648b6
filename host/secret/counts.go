package secret

import "sync/atomic"

// Counts counts reads of secrets, over all services that count in it. The zero value is ready, and a nil one counts nothing.
type Counts struct{ remembered, asked atomic.Uint64 }

// CountIn has the service count in c what it reads from now on. It is called before the service is used.
func (s *Service) CountIn(c *Counts) { s.counts = c }

// Reads gives how often a value was remembered, and how often its store was asked.
func (c *Counts) Reads() (remembered, asked uint64) { return c.remembered.Load(), c.asked.Load() }

func (c *Counts) remember() {
	if c != nil {
		c.remembered.Add(1)
	}
}

func (c *Counts) ask() {
	if c != nil {
		c.asked.Add(1)
	}
}
