package directory

import "context"

// KnowsClient says whether a principal of the realm, enabled or not, has a client id. It asks the store for a number
// rather than for the principal, so that its time does not tell what it found.
func (d *Directory) KnowsClient(ctx context.Context, realm, clientID string) (_ bool, err error) {
	defer wrap(&err, "look a client up")
	if !possible(realm, clientID) {
		realm, clientID = "", "" // nothing is kept under these, and the store is asked all the same
	}
	var n int
	err = d.stmt.knownClient.QueryRowContext(ctx, realm, clientID).Scan(&n)
	return n > 0, err
}
