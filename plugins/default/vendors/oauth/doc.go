// Package oauth owns the credential vendor for connections with client credentials (RFC 6749 section 4.4): it has the
// remote system's token endpoint issue tokens, and keeps them until shortly before they expire.
//
// A token is kept for one connection of one realm as it stands, with one secret: a change of any of them begins afresh. At
// most one request for a token is under way. While the endpoint is down the former token serves for as long as it lives.
// Whatever is wrong at the endpoint makes the answer unavailable: the credentials are ours, and no caller is at fault. What
// the endpoint says goes into no error, since it may repeat the secret that it was sent.
package oauth
