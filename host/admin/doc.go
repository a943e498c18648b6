// Package admin is the operator's API: JSON over HTTP on a unix socket that only the daemon's own user and root may
// connect to. It owns the wire types, the routes and the client that the command line uses.
//
//	GET    /v1/realms                                           realms and whether they are served
//	GET    /v1/plugins                                          plugin processes
//	GET    /v1/realms/{realm}/principals?after=&limit=          a page, by name
//	POST   /v1/realms/{realm}/principals                        create; the answer holds the secret, once
//	GET    /v1/realms/{realm}/principals/{name}
//	PATCH  /v1/realms/{realm}/principals/{name}
//	DELETE /v1/realms/{realm}/principals/{name}
//	POST   /v1/realms/{realm}/principals/{name}/rotate          a new secret beside the last one
//	POST   /v1/realms/{realm}/principals/{name}/reset           a new secret instead of all others
//	PUT    /v1/realms/{realm}/principals/{name}/roles/{role}    grant
//	DELETE /v1/realms/{realm}/principals/{name}/roles/{role}    revoke
//	GET    /v1/realms/{realm}/principals/{name}/access-keys     the keys with which it signs requests
//	POST   /v1/realms/{realm}/principals/{name}/access-keys     create; the answer holds the secret, once
//	DELETE /v1/realms/{realm}/principals/{name}/access-keys/{id}
//	GET    /v1/realms/{realm}/roles?after=&limit=
//	POST   /v1/realms/{realm}/roles
//	GET    /v1/realms/{realm}/roles/{name}
//	DELETE /v1/realms/{realm}/roles/{name}                      also drops its grants
//	POST   /v1/explain                                          how a realm decides on a token
//	GET    /v1/secret-stores
//	GET    /v1/secrets/{reference}?reveal=                      the value only with reveal=true
//	PUT    /v1/secrets/{reference}                              write a value
//	DELETE /v1/secrets/{reference}
//
//	any    /v1/realms/{realm}/connections...                    see host/connection
//
// The daemon serves GET /metrics on the same socket, see host/metrics.
//
// Names in paths are percent-encoded. A body is one JSON object without unknown keys, of 64 KiB at most. An error is
// {"error":{"code","message","field"}} with status 400, 404, 405, 409, 413, 500, 502 or 503. A secret stands in the answers of
// create, rotate and reset, and of a secret that is revealed, only.
package admin
