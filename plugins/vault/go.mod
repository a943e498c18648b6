// The parts for Vault and OpenBao. A module of its own, so that nobody else's graph has their client in it.
module github.com/realmgate/realmgate/plugins/vault

go 1.26.0

require (
	github.com/aws/aws-sdk-go-v2 v1.48.0
	github.com/aws/aws-sdk-go-v2/config v1.33.18
	github.com/go-jose/go-jose/v4 v4.1.8
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/maypok86/otter/v2 v2.4.0
	github.com/openbao/openbao/api/v2 v2.7.1
	github.com/realmgate/realmgate/sdk v0.1.0
	golang.org/x/sync v0.24.0
	golang.org/x/time v0.16.0
)
