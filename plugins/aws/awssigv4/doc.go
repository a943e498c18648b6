// Package awssigv4 owns the identity provider for requests that are signed by AWS Signature Version 4 with an access key
// that Realmgate issued.
//
// What is verified is the request as the proxy got it: method, host, target and headers as they were on the wire. The body
// is not seen. Its hash is part of what is signed, and whoever has the body compares it with x-amz-content-sha256.
//
// A signature is good for what it has signed, for as long as the clocks may differ; so no decision is remembered.
package awssigv4
