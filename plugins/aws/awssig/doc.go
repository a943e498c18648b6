// Package awssig owns reading AWS Signature Version 4, of others' making: what an Authorization header or a presigned URL
// says, the canonical request, and the signature that a key would have made.
//
// The libraries that sign read a request that they have taken apart. Whoever verifies has to take it as it was on the wire,
// and only the headers that the caller signed: so it is done here.
package awssig
