package server

// The reasons that this room itself gives, in Realmgate-Reason and in bodies. Others come with a denial: from the directory,
// the pipeline and the parts. docs/http.md explains each.
const (
	reasonCredentialMissing    = "credential_missing"
	reasonDenied               = "denied" // a denial without a reason that can be shown
	reasonMethodNotAllowed     = "method_not_allowed"
	reasonNotFound             = "not_found"
	reasonRealmAmbiguous       = "realm_ambiguous"
	reasonRealmMissing         = "realm_missing"
	reasonRealmUnknown         = "realm_unknown"
	reasonRequestMalformed     = "request_malformed"
	reasonTokenMalformed       = "token_malformed"
	reasonTokenServiceDisabled = "token_service_disabled"
	reasonTokenTooLarge        = "token_too_large"
	reasonUnavailable          = "unavailable"

	reasonRoleNotGranted     = "role_not_granted"     // the pipeline's; the answer has a challenge
	reasonTokenNotRecognised = "token_not_recognised" // the pipeline's, and ours at the connections
)
