// Command realmgate-plugin-postgres is a third party's plugin: an authenticator that finds principals and their roles in the
// operator's own PostgreSQL database. README.md has its configuration.
package main

import (
	"github.com/realmgate/realmgate/sdk"
	"github.com/realmgate/realmgate/sdk/serve"
)

func main() {
	serve.Main("postgres", "1.0.0", sdk.AuthenticatorType("postgres", newAuthenticator))
}
