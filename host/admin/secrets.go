package admin

import (
	"context"
	"errors"
	"net/http"
	"unicode/utf8"

	"github.com/realmgate/realmgate/host/audit"
	"github.com/realmgate/realmgate/host/secret"
	"github.com/realmgate/realmgate/sdk"
)

// Secrets are the secret stores of the configuration; *secret.Service is one.
type Secrets interface {
	Stores() []secret.StoreInfo
	Resolve(ctx context.Context, ref sdk.SecretRef) (sdk.Secret, error)
	Write(ctx context.Context, ref sdk.SecretRef, value []byte) (version string, err error)
	Delete(ctx context.Context, ref sdk.SecretRef) error
}

// AuditedSecrets gives stores of which every use is recorded, before it is made and after: references and versions, never
// values. What no line can be written of does not happen, unless the log is configured to carry on.
func AuditedSecrets(s Secrets, log *audit.Log) Secrets { return auditedSecrets{s, log} }

type auditedSecrets struct {
	Secrets
	log *audit.Log
}

// Resolve records the version that was read.
func (a auditedSecrets) Resolve(ctx context.Context, ref sdk.SecretRef) (v sdk.Secret, err error) {
	err = a.log.Around(ctx, audit.Event{Name: audit.StoredSecretRead, Reference: ref.String()}, func() (err error) {
		v, err = a.Secrets.Resolve(ctx, ref)
		return err
	}, func(e *audit.Event) { e.SecretVersion = v.Version })
	if err != nil {
		return sdk.Secret{}, err
	}
	return v, nil
}

// Write records the version that was written.
func (a auditedSecrets) Write(ctx context.Context, ref sdk.SecretRef, value []byte) (version string, err error) {
	err = a.log.Around(ctx, audit.Event{Name: audit.StoredSecretWrite, Reference: ref.String()}, func() (err error) {
		version, err = a.Secrets.Write(ctx, ref, value)
		return err
	}, func(e *audit.Event) { e.SecretVersion = version })
	return version, err
}

// Delete records the reference.
func (a auditedSecrets) Delete(ctx context.Context, ref sdk.SecretRef) error {
	return a.log.Around(ctx, audit.Event{Name: audit.StoredSecretDelete, Reference: ref.String()},
		func() error { return a.Secrets.Delete(ctx, ref) }, nil)
}

// secretRoute serves what lies below /v1/secrets and /v1/secret-stores; nil for another path.
func (h *handler) secretRoute(c *call, segs []string) (route, error) {
	switch {
	case h.Secrets == nil:
		return nil, nil
	case len(segs) == 1 && segs[0] == "secret-stores":
		return route{"GET": h.listSecretStores}, nil
	case len(segs) != 2 || segs[0] != "secrets":
		return nil, nil
	}
	ref, err := sdk.ParseSecretRef(segs[1])
	if err != nil {
		return nil, invalid("reference", err.Error())
	}
	c.reference = ref
	c.action = map[string]string{http.MethodPut: audit.StoredSecretWrite, http.MethodDelete: audit.StoredSecretDelete}[c.r.Method]
	return route{"GET": h.getSecret, "PUT": h.putSecret, "DELETE": h.deleteSecret}, nil
}

func (h *handler) listSecretStores(c *call) error {
	out := []SecretStore{}
	for _, s := range h.Secrets().Stores() {
		x := SecretStore{Name: s.Name, Writable: s.Writable, OperatorOnly: s.OperatorOnly, Grants: []SecretGrant{}}
		for _, g := range s.Grants {
			x.Grants = append(x.Grants, SecretGrant{Realm: g.Realm, Prefix: g.Prefix})
		}
		out = append(out, x)
	}
	return c.write(http.StatusOK, map[string][]SecretStore{"secret_stores": out})
}

func (h *handler) getSecret(c *call) error {
	reveal := false
	for key, values := range c.r.URL.Query() {
		if key != "reveal" || len(values) != 1 || values[0] != "true" && values[0] != "false" {
			return invalid(key, "there is only the parameter reveal, which is true or false")
		}
		reveal = values[0] == "true"
	}
	v, err := h.Secrets().Resolve(c.r.Context(), c.reference)
	if err != nil {
		return ofStore(err)
	}
	out := StoredSecret{Reference: c.reference.String(), Version: v.Version, Bytes: len(v.Reveal())}
	if reveal {
		out.reveal(v.Reveal())
	}
	return c.write(http.StatusOK, out)
}

func (h *handler) putSecret(c *call) error {
	var in SecretValue
	if err := c.decode(&in); err != nil {
		return err
	}
	value, err := in.bytes()
	if err != nil {
		return err
	}
	version, err := h.Secrets().Write(c.r.Context(), c.reference, value)
	if err != nil {
		return ofStore(err)
	}
	return c.write(http.StatusOK, StoredSecret{Reference: c.reference.String(), Version: version, Bytes: len(value)})
}

func (h *handler) deleteSecret(c *call) error {
	if err := c.empty(); err != nil {
		return err
	}
	if err := h.Secrets().Delete(c.r.Context(), c.reference); err != nil {
		return ofStore(err)
	}
	return c.done(nil)
}

// ofStore says whose fault it is that a store did not do what was asked of it. The words of a store are for the operator.
func ofStore(err error) error {
	switch {
	case errors.Is(err, audit.ErrUnwritten):
		return err
	case errors.Is(err, secret.ErrUnknownStore):
		return &Error{Status: http.StatusNotFound, Code: CodeNotFound, Message: err.Error(), Field: "reference"}
	case errors.Is(err, secret.ErrReadOnly), errors.Is(err, secret.ErrPinned):
		return invalid("reference", err.Error())
	}
	return &Error{Status: http.StatusBadGateway, Code: CodeStoreFailed, Message: err.Error()}
}

// reveal sets the value, as text where it is some.
func (s *StoredSecret) reveal(value []byte) {
	if utf8.Valid(value) {
		text := string(value)
		s.Value = &text
		return
	}
	s.ValueBase64 = value
}

func (v SecretValue) bytes() ([]byte, error) {
	if (v.Value == nil) == (v.ValueBase64 == nil) {
		return nil, invalid("value", "either value or value_base64 is needed")
	}
	if v.Value != nil {
		return []byte(*v.Value), nil
	}
	return v.ValueBase64, nil
}
