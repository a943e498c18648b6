package sigv4

import (
	"context"
	"time"

	"github.com/realmgate/realmgate/plugins/aws/signing"
	"github.com/realmgate/realmgate/sdk"
)

// defaultLifetime is that of a presigned URL if none is asked for.
const defaultLifetime = 15 * time.Minute

// Properties of a connection that change how its requests are signed; the service's own rules without them.
const (
	propertyNormalize = "sigv4.normalize-path" // true or false
	propertyTwice     = "sigv4.encode-path"    // once or twice
	propertyToken     = "sigv4.session-token"  // signed or unsigned
)

// Sign signs a request with the keys that Vend gives, by the connection's signingRegion and signingName. The host sees to
// which hosts a connection may sign for.
func (v *Vendor) Sign(ctx context.Context, r sdk.SignRequest) (sdk.SignedRequest, error) {
	p, err := parse(&r.Connection)
	if err != nil {
		return sdk.SignedRequest{}, err
	}
	rules, err := rulesFor(p.SigningName, r.Connection.Properties)
	if err != nil {
		return sdk.SignedRequest{}, err
	}
	s, err := v.session(ctx, &r.Connection, p, r.Caller, nil, 0)
	if err != nil {
		return sdk.SignedRequest{}, fail(&r.Connection, err)
	}
	in := signing.Input{Message: r.HTTP, Keys: s.keys, Region: p.SigningRegion, Service: p.SigningName, Rules: rules, At: v.now()}
	var out sdk.SignedRequest
	if r.Presign {
		life := r.Lifetime
		if life == 0 {
			life = defaultLifetime
		}
		out, err = signing.Presign(ctx, in, life)
	} else {
		out, err = signing.Headers(ctx, in)
	}
	if err != nil {
		return sdk.SignedRequest{}, fail(&r.Connection, err)
	}
	out.AuditID = s.auditID
	return out, nil
}

func rulesFor(service string, properties map[string]string) (signing.Rules, error) {
	rules := signing.RulesOf(service)
	for _, p := range []struct {
		name, yes, no string
		to            *bool
	}{
		{propertyNormalize, "true", "false", &rules.NormalizePath},
		{propertyTwice, "twice", "once", &rules.EncodeTwice},
		{propertyToken, "signed", "unsigned", &rules.SignToken},
	} {
		switch properties[p.name] {
		case "":
		case p.yes:
			*p.to = true
		case p.no:
			*p.to = false
		default:
			return rules, invalid("properties."+p.name, "it is %s or %s", p.yes, p.no)
		}
	}
	return rules, nil
}
