package awssigv4

import "time"

// SetClock makes a test's clock the provider's.
func (p *Provider) SetClock(now func() time.Time) { p.now = now }
