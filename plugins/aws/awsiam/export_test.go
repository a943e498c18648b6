package awsiam

import (
	"net/http"
	"time"
)

// SetClock makes a test's clock the provider's.
func (p *Provider) SetClock(now func() time.Time) { p.now = now }

// SetTransport has a test answer what is sent to STS.
func (p *Provider) SetTransport(t http.RoundTripper) { p.http.Transport = t }

// Roles gives the roles that every identity asks for.
func (p *Provider) Roles() []string { return p.settings.Roles }
