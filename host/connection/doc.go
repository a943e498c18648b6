// Package connection owns the connections of a realm: remote systems, how to authenticate to them, and which identity of our
// own does so. It keeps references to secrets, never secrets; it asks a credential vendor for short-lived credentials and for
// signatures, and checks what the vendor answers.
//
// A [Service] serves one realm of one configuration. [Service.Serve] is its HTTP interface, below ".../v1/connections":
//
//	POST   /                       create; the body is ours or Polaris' CreateCatalogRequest
//	GET    /?after=&limit=         a page, by name
//	GET    /{name}
//	PUT    /{name}                 replace; the version that it is based on in If-Match or in the body
//	DELETE /{name}                 also deletes the secrets that we wrote
//	POST   /{name}/rotate-secret   a new value, or another reference, for one secret
//	POST   /{name}/repoint         another service identity of the configuration
//	POST   /{name}/credentials     short-lived credentials
//	POST   /{name}/sign            a signature on a request; also Iceberg's S3SignRequest
//	POST   /{name}/test            vends, and asks the remote system once
//
// Who may do what is decided by the active roles of the caller, see [Config]; the operator may do everything.
//
// # Secrets
//
// A secret that comes in with a body is written to the realm's store before the connection is kept, see host/custody, and
// deleted with it. A reference that a caller gives instead must be granted to the realm, must not lead into what we
// wrote ourselves, and is never deleted by us.
//
// A stored secret goes on being used only where it went before: whoever changes the address that it is sent to gives it
// anew. So the right to change a connection is not the right to read its secrets.
//
// # Service identities
//
// Which identity a connection uses is decided when it is created and kept as an [IdentityRef] with the ARN that it had.
// Later changes of the configuration do not change it. Where the configuration no longer has it, or has it under another
// ARN, the connection is unavailable until it is pointed to another one: never is another identity used by itself.
package connection
