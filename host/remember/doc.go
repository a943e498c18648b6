// Package remember keeps decisions for a bounded time in bounded memory, so that an equal request need not be decided again.
// It owns what makes two requests equal, for how long an answer holds, and that equal requests at the same moment are
// decided once.
//
// Nothing of a request is kept but a key: an HMAC over the generation, the realm, the scheme, the whole token and the peer's
// certificate. The key of the HMAC is drawn at random by the process. With the answer is the epoch of the realm in which it
// holds; that of another epoch counts for nothing, and is replaced. What changes the answer changes one of these (a reload the
// generation; principals, grants, revocations the epoch), or it is seen when the life of the answer ends. A request that is not wholly in the key (without a credential, or in a plan that reads the original request) never
// comes here, or is passed on.
//
// Denials have a space of their own: whoever sends bad tokens pushes out other denials only.
package remember
