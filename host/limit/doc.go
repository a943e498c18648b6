// Package limit guards the endpoints at which clients authenticate: how often a peer and a client may ask, and how long
// one that failed has to wait. It owns the buckets, the memory of failures and their bounds. It never sleeps: who has to
// wait is told how long and sent away.
//
// # What is counted
//
// Every request is counted against its peer, that is, the address (IPv4) or the /64 (IPv6) that it came from. Every
// request whose client secret or bearer token was right is counted against its client: somebody else cannot use up a
// client's share. Each endpoint counts for itself: who introspects a lot still gets a token.
//
// Failures are remembered by client and peer together. After a few free ones the pair has to wait, each time twice as long
// up to a limit; what it asks meanwhile is refused unheard and makes the wait no longer. A right secret ends it.
// Nobody can lock a client out from another peer: a pair that has not failed itself is heard, whatever others do. Only the
// free failures shrink: while a client is under attack from anywhere a peer's first failure makes it wait.
// Likewise a peer that fails with many clients has to wait, but for pairs that were right before. A token that the realm
// never issued is such a failure too; a good one is always heard, since nobody gets to it by guessing.
//
// Requests that come at once are heard at once, so a pair's first failures can be as many as its peer's burst; all of
// them count.
//
// # Bounds
//
// All of it is kept in caches of a fixed number of entries, and the keys in them have a fixed size. Clients that the realm
// knows and those that it does not have caches of their own, with the same rules, so that random client ids cannot
// push out what is remembered of a real one, and the answers do not tell the two apart. One client has a bounded part of
// its cache, so that its id from very many networks does not push out what is remembered of others. Realms share the caches; their
// entries are apart. What is remembered is lost with the process.
package limit
