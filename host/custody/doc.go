// Package custody writes the secrets that callers hand in to the store of their realm, such that none is lost and none is
// left over. It owns the order in which this happens:
//
//  1. the references to be are planned in the ledger, which is in the directory's database;
//  2. the values are written to the store;
//  3. what owns them (a connection, an access key) is kept, and in the same transaction its secrets are marked as kept;
//  4. a failure anywhere deletes what was written; so does the end of the owner, whose transaction dooms them.
//
// Whatever cannot be deleted at once, for a store that is down or a process that was killed between two steps, is still in the
// ledger, and [Custody.Sweep] deletes it later. No secret is ever in the ledger, only references.
package custody
