// Package secrets owns the secret resolvers over AWS Secrets Manager and the parameters of AWS Systems Manager. Both can also
// keep secrets.
package secrets
