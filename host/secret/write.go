package secret

import (
	"context"
	"slices"
	"strings"

	"github.com/realmgate/realmgate/sdk"
)

// Write keeps a value under a reference of the operator's and answers its version, empty where the store keeps none.
func (s *Service) Write(ctx context.Context, ref sdk.SecretRef, value []byte) (string, error) {
	t := s.table.Load()
	st, err := t.store(ref)
	if err != nil {
		return "", err
	}
	return t.write(ctx, st, ref, value)
}

// WriteGranted keeps a value on behalf of a realm. Without a grant that covers the reference the error is ErrNotGranted, as
// it is for [Service.ResolveGranted].
func (s *Service) WriteGranted(ctx context.Context, realm string, ref sdk.SecretRef, value []byte) (string, error) {
	t := s.table.Load()
	st, err := t.granted(realm, ref)
	if err != nil {
		return "", err
	}
	return t.write(ctx, st, ref, value)
}

// Delete removes what a reference of the operator's names. Deleting what is not there is not an error.
func (s *Service) Delete(ctx context.Context, ref sdk.SecretRef) error {
	t := s.table.Load()
	st, err := t.store(ref)
	if err != nil {
		return err
	}
	return t.delete(ctx, st, ref)
}

// Granted says whether a reference that came in with a call for a realm may be resolved there. The error is that of
// [Service.ResolveGranted].
func (s *Service) Granted(realm string, ref sdk.SecretRef) error {
	_, err := s.table.Load().granted(realm, ref)
	return err
}

// Writable says whether [Service.WriteGranted] would come as far as the store.
func (s *Service) Writable(realm string, ref sdk.SecretRef) error {
	st, err := s.table.Load().granted(realm, ref)
	if err != nil {
		return err
	}
	return writable(st, ref)
}

func (t *table) write(ctx context.Context, st Store, ref sdk.SecretRef, value []byte) (string, error) {
	if err := writable(st, ref); err != nil {
		return "", err
	}
	defer t.forget(ref) // also of a write that failed: it may have been done all the same
	version, err := st.Writer.WriteSecret(ctx, ref, value)
	if err != nil {
		return "", st.fault(ref, err)
	}
	return version, nil
}

func (t *table) delete(ctx context.Context, st Store, ref sdk.SecretRef) error {
	if err := writable(st, ref); err != nil {
		return err
	}
	defer t.forget(ref)
	if err := st.Writer.DeleteSecret(ctx, ref); err != nil {
		return st.fault(ref, err)
	}
	return nil
}

// writable says why what a reference names cannot be changed, if so.
func writable(st Store, ref sdk.SecretRef) error {
	switch {
	case st.Writer == nil:
		return st.fault(ref, ErrReadOnly)
	case ref.Version() != "" || ref.Field() != "":
		return st.fault(ref, ErrPinned)
	}
	return nil
}

// StoreInfo says what a store is good for.
type StoreInfo struct {
	Name         string
	Writable     bool
	OperatorOnly bool
	Grants       []Grant
}

// Stores lists the stores of the configuration by name.
func (s *Service) Stores() []StoreInfo {
	t := s.table.Load()
	out := make([]StoreInfo, 0, len(t.stores))
	for _, st := range t.stores {
		out = append(out, StoreInfo{Name: st.Name, Writable: st.Writer != nil, OperatorOnly: st.OperatorOnly, Grants: slices.Clone(st.Grants)})
	}
	slices.SortFunc(out, func(a, b StoreInfo) int { return strings.Compare(a.Name, b.Name) })
	return out
}
