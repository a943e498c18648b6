// Package server translates between the wire and the nouns: it owns the listeners, the forward-auth door, where requests
// find their realm, what of a request is believed, the shape of every answer, and the drain. What is decided it asks the
// plan of the current generation; the token endpoint and the admin API are handlers of their own rooms.
//
// Routes, matched on the path as it stands on the wire, never decoded or cleaned:
//
//	any  /realms/{realm}/v1/check[/...]     forward auth; what follows is the original path where a proxy appends it
//	any  /v1/check[/...]                    the same, realm by host or by the listener's realm header
//	POST /realms/{realm}/v1/oauth/tokens    token endpoint; also /realms/{realm}/v1/token, /v1/oauth/tokens, /v1/token
//	POST /realms/{realm}/v1/oauth/revoke, /introspect    revocation and introspection; also without /realms/{realm}
//	GET  /realms/{realm}/v1/jwks            public keys; also /v1/jwks
//	GET  /realms/{realm}/.well-known/openid-configuration, /oauth-authorization-server    metadata; also without /realms/{realm}
//	GET  /.well-known/oauth-authorization-server/realms/{realm}    the same, where RFC 8414 puts it
//	any  /realms/{realm}/v1/connections[/...]    the realm's connections, for a bearer token; also without /realms/{realm}
//	GET  /healthz                           the process lives
//	GET  /readyz                            the directory answers and at least one realm is served
//
// A check answers 200 with the headers Realmgate-Principal, Realmgate-Principal-Id, Realmgate-Roles and Realmgate-Realm,
// whose values are percent-encoded (roles are separated by commas); 401 or 403 with Realmgate-Reason; 400 for a request
// that cannot be judged, 404 for an unknown realm, and 503 where the daemon is at fault. A proxy such as nginx turns
// everything but 2xx, 401 and 403 into a 500 of its own, which refuses as well.
package server
