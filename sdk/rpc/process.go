package rpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	"github.com/realmgate/realmgate/sdk"
)

type Process struct {
	cc   grpc.ClientConnInterface
	host HostServices
}

var errSkeleton = errors.New("rpc: not there yet")

func NewProcess(cc grpc.ClientConnInterface, host HostServices) *Process { return &Process{cc, host} }
func (p *Process) Describe(ctx context.Context, hostVersion string) (Manifest, error) {
	return Manifest{}, errSkeleton
}
func (p *Process) OpenSession(ctx context.Context) error { return errSkeleton }
func (p *Process) SessionLost() <-chan struct{}          { return nil }
func (p *Process) Configure(ctx context.Context, in []Instance) ([]Diagnostic, error) {
	return nil, errSkeleton
}
func (p *Process) Release(ctx context.Context, ids []uint64) error { return errSkeleton }
func (p *Process) Run(ctx context.Context, realm string, steps []Step, st *sdk.State) error {
	return errSkeleton
}
func (p *Process) Issue(ctx context.Context, realm string, instance uint64, g sdk.Grant) (sdk.Token, error) {
	return sdk.Token{}, errSkeleton
}
func (p *Process) Keys(ctx context.Context, realm string, instance uint64) (jwks []byte, until time.Time, err error) {
	return nil, time.Time{}, errSkeleton
}
func (p *Process) Resolve(ctx context.Context, instance uint64, ref sdk.SecretRef) (sdk.Secret, error) {
	return sdk.Secret{}, errSkeleton
}
func (p *Process) WriteSecret(ctx context.Context, instance uint64, ref sdk.SecretRef, value []byte) (version string, err error) {
	return "", errSkeleton
}
func (p *Process) DeleteSecret(ctx context.Context, instance uint64, ref sdk.SecretRef) error {
	return errSkeleton
}
func (p *Process) Vend(ctx context.Context, realm string, instance uint64, r sdk.VendRequest) (sdk.ConnectionCredentials, error) {
	return sdk.ConnectionCredentials{}, errSkeleton
}
func (p *Process) Sign(ctx context.Context, realm string, instance uint64, r sdk.SignRequest) (sdk.SignedRequest, error) {
	return sdk.SignedRequest{}, errSkeleton
}
