// Package aws owns the proof that what the AWS plugin vends and signs is taken by a real STS and S3 server, and by a real
// client of it.
package aws
