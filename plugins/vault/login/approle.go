package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/realmgate/realmgate/plugins/vault/client"
	"github.com/realmgate/realmgate/sdk"
)

// AppRole is the machine login by a role id and a secret id.
type AppRole struct {
	RoleID   string        `json:"role_id" doc:"id of the role"`
	SecretID sdk.SecretRef `json:"secret_id,omitempty" doc:"reference to the secret id, in another store; without it the role must not bind one"`
	Wrapped  bool          `json:"wrapped" default:"false" doc:"the reference gives a token that wraps the secret id. It is unwrapped once; that it was made where secret ids are made is checked before"`
	RoleName string        `json:"role_name,omitempty" doc:"with wrapped: the role whose secret ids are taken; that of any role of the mount without it"`
	Mount    string        `json:"mount" default:"approle" doc:"where the method is mounted"`
}

func (s *AppRole) check() error {
	faults := []error{checkMount(s.Mount)}
	if s.RoleID == "" {
		faults = append(faults, sdk.At(errors.New("a role id is needed"), "role_id"))
	}
	if s.Wrapped && s.SecretID.IsZero() {
		faults = append(faults, sdk.At(errors.New("only a secret id can be wrapped, and there is none"), "wrapped"))
	}
	if s.RoleName != "" && !s.Wrapped {
		faults = append(faults, sdk.At(errors.New("the role's name is for a wrapped secret id"), "role_name"))
	}
	return errors.Join(faults...)
}

type appRole struct {
	AppRole

	mu        sync.Mutex
	wrapping  string // the last wrapping token that was used
	unwrapped string // the secret id that it had
}

// proof is the secret id, or the token that wraps it.
func (m *appRole) proof(ctx context.Context) (string, error) {
	if m.SecretID.IsZero() {
		return "", nil
	}
	secret, err := m.SecretID.Value(ctx)
	if err != nil {
		return "", fmt.Errorf("secret_id: %w", err)
	}
	return strings.TrimSpace(string(secret.Reveal())), nil
}

func (m *appRole) login(ctx context.Context, c *client.Client, secretID string) (grant, error) {
	body := map[string]any{"role_id": m.RoleID}
	if m.Wrapped {
		var err error
		if secretID, err = m.unwrap(ctx, c, secretID); err != nil {
			return grant{}, fmt.Errorf("secret_id (%s): %w", m.SecretID, err)
		}
	}
	if !m.SecretID.IsZero() {
		body["secret_id"] = secretID
	}
	g, err := ask(ctx, c, m.Mount, body)
	if client.Denied(err) {
		return grant{}, fmt.Errorf("AppRole: %w; or it has locked the role out after logins that failed (sys/locked-users)", err)
	}
	if err != nil {
		return grant{}, fmt.Errorf("AppRole: %w", err)
	}
	return g, nil
}

// counted says whether a login failed as those do that a server counts, to lock a role out.
func counted(err error) bool {
	return client.Status(err) == http.StatusBadRequest && client.Says(err, "invalid role or secret ID", "invalid secret id", "invalid role ID")
}

// unwrap gives the secret id in a wrapping token, which works once: the secret id is kept for further logins.
func (m *appRole) unwrap(ctx context.Context, c *client.Client, wrapping string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.wrapping == wrapping && m.unwrapped != "" {
		return m.unwrapped, nil
	}
	if !plainToken(wrapping) {
		return "", errors.New("what is given as a wrapping token is none")
	}
	about, err := c.Do(ctx, client.Request{Method: http.MethodPost, Path: "sys/wrapping/lookup", Body: map[string]any{"token": wrapping}})
	if err != nil {
		return "", wrapped(err)
	}
	var path string
	if about != nil {
		path, _ = about.Data["creation_path"].(string)
	}
	if !m.madeBy(path) {
		return "", fmt.Errorf("the wrapping token was not made by auth/%s/role/%s/secret-id: somebody else may have made it, and it is not used", m.Mount, m.anyRole())
	}
	out, err := c.Do(ctx, client.Request{Method: http.MethodPost, Path: "sys/wrapping/unwrap", Token: wrapping, Once: true})
	if err != nil {
		return "", wrapped(err)
	}
	var id string
	if out != nil {
		id, _ = out.Data["secret_id"].(string)
	}
	if id == "" {
		return "", errors.New("there is no secret id in the wrapping token")
	}
	m.wrapping, m.unwrapped = wrapping, id
	return id, nil
}

// wrapped says what it may mean that a wrapping token does not work.
func wrapped(err error) error {
	if s := client.Status(err); s == http.StatusBadRequest || s == http.StatusForbidden {
		return fmt.Errorf("the wrapping token has expired or was used before, perhaps by this daemon or plugin before it was started again. If nobody of yours used it, somebody has read the secret id: %w", err)
	}
	return err
}

func (m *appRole) anyRole() string {
	if m.RoleName == "" {
		return "<role>"
	}
	return m.RoleName
}

func (m *appRole) madeBy(path string) bool {
	role := `[^/]+`
	if m.RoleName != "" {
		role = regexp.QuoteMeta(m.RoleName)
	}
	ok, err := regexp.MatchString(`^auth/`+regexp.QuoteMeta(m.Mount)+`/role/`+role+`/secret-id$`, path)
	return err == nil && ok
}
