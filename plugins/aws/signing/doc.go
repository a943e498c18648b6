// Package signing owns AWS Signature Version 4 over requests as they are on the wire: what of a request is signed and how a
// service wants it, as headers or as a presigned URL. The signature itself is the SDK's.
package signing
