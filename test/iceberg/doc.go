// Package iceberg owns the proof that a client of the Iceberg REST catalog gets its token from Realmgate as it is: it posts
// its credential to the deprecated but widely used .../v1/oauth/tokens, with the scope "catalog".
//
// The test builds the daemon and starts it. It uses a running one instead if REALMGATE_URL is set, with the realm in
// REALMGATE_REALM ("demo") and a client's "id:secret" in REALMGATE_CREDENTIAL; REALMGATE_BIN is the folder of binaries that
// are built already.
package iceberg
