// Package audit keeps a line for every token that was issued, refused or revoked and for every change by an operator: who,
// in which realm, from where, why. It owns the form of a line, the file and its rotation, and what happens when a line
// cannot be written.
//
// A line is one JSON object, see [Event]. It is written before its effect can be seen: a token's before the token is
// sent, and a change has two, one with the outcome "attempted" before anything is changed and one that tells what became
// of it, with the same request_id. If the first cannot be written and the log is configured to refuse, nothing happens.
// What has happened already is not taken back when the second cannot be written; the daemon's own log says so.
//
// A line holds no secret and no token, and nothing that a stranger can write at will: the client id of a request counts
// only if the realm knows it. Somebody may have sent a secret in its place, so an unknown one appears as the first eight
// bytes of its SHA-256 sum, with which two lines can be compared.
//
// What anybody can cause as often as they like, a refusal above all, does not push the history out of the rotated files:
// see [Log.Tally].
//
// A line has reached the operating system when [Log.Record] returns; it is not forced to the disk.
package audit
