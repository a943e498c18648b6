// The AWS parts. A module of its own, so that nobody else's graph has a cloud's SDK in it.
module github.com/realmgate/realmgate/plugins/aws

go 1.26.0

require (
	github.com/aws/aws-sdk-go-v2 v1.48.0
	github.com/aws/aws-sdk-go-v2/config v1.33.18
	github.com/aws/aws-sdk-go-v2/credentials v1.21.0
	github.com/aws/aws-sdk-go-v2/service/secretsmanager v1.50.11
	github.com/aws/aws-sdk-go-v2/service/ssm v1.82.0
	github.com/aws/aws-sdk-go-v2/service/sts v1.52.0
	github.com/aws/smithy-go v1.28.9
	github.com/maypok86/otter/v2 v2.4.0
	github.com/realmgate/realmgate/sdk v0.1.0
	golang.org/x/sync v0.24.0
	golang.org/x/time v0.16.0
)
