// Package directory keeps who is known in a realm: principals, the roles that they were granted, the client secrets with
// which they obtain tokens, the keys with which they sign requests, the tokens that were revoked, and the epoch of each
// realm, which every change of these moves; beside them the connections of each realm. The store is an embedded SQLite
// file for one node, or PostgreSQL for many.
//
// Every method names its realm, and no method sees a row of another one.
//
// # Secrets
//
// A client secret is 256 random bits that this package draws. It is kept as a salted SHA-256 sum, never in clear. Slow
// password hashes exist to make guessing costly where people choose from few words; nobody can guess 256 random bits at
// any speed, so a slow hash would only slow the token endpoint down and make it easy to exhaust.
//
// Of a connection's secrets and of those of access keys it keeps references only. The secrets are in a secret store, and
// nothing of them is here. [Directory.PlanSecrets] and its companions note which of them we write, so that none is left over.
//
// # Epochs
//
// Each change moves the epoch of its realm: it is counted in the store in the transaction of the change, and in memory as soon
// as it is committed, before the method returns. What was read is remembered under the epoch that was current before reading,
// so that a change is seen at once on the node that made it; other nodes see with their next [Directory.Refresh] that the
// store's count is another one. The epoch itself is this process's own and only ever goes up, since the store's count goes back
// when a backup is restored. Whoever remembers answers derived from the directory does the same with [Directory.Epoch].
package directory
