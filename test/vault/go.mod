// The Vault parts against a real server. A module of its own, since the daemon's module must not know the client and the
// plugin's needs no server.
module github.com/realmgate/realmgate/test/vault

go 1.26.0

require (
	github.com/realmgate/realmgate v0.1.0
	github.com/realmgate/realmgate/plugins/vault v0.1.0
	github.com/realmgate/realmgate/sdk v0.1.0
)
