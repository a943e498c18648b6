// Package secret dispatches secret references to the stores of the configuration. It owns who may name which store: a
// reference of the operator's configuration may name any; one that came in with a call only what a grant gives to its
// realm, and never an env or file store. Values are kept for a bounded time, each fetched once for all who wait.
package secret
