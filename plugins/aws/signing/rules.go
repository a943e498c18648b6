package signing

import "github.com/realmgate/realmgate/plugins/aws/awssig"

// Rules are what services differ in.
type Rules struct {
	// NormalizePath has dot segments and repeated slashes taken out of the path that is signed. The path that is sent stays.
	NormalizePath bool
	// EncodeTwice has the path that is on the wire encoded once more for the signature. S3 alone does without.
	EncodeTwice bool
	// ContentHash has x-amz-content-sha256 sent and signed with every request.
	ContentHash bool
	// UnsignedPayload allows a request to say that its body is not signed.
	UnsignedPayload bool
	// SignToken has the session token signed; some services want it added afterwards.
	SignToken bool
}

// RulesOf gives the rules of a service by its signing name, e.g. s3 or execute-api.
func RulesOf(service string) Rules {
	r := Rules{NormalizePath: true, EncodeTwice: true, SignToken: true}
	switch {
	case awssig.EscapesOnce(service):
		return Rules{ContentHash: true, UnsignedPayload: true, SignToken: true}
	case service == "aoss":
		r.ContentHash = true
	case service == "vpc-lattice-svcs":
		r.ContentHash, r.UnsignedPayload = true, true
	case service == "iotdevicegateway":
		r.SignToken = false
	}
	return r
}
