// Command realmgate-plugin-vault is the plugin for HashiCorp Vault and OpenBao: secrets by reference, tokens signed by keys
// that never leave the server, and its tokens as credentials. It is written against the sdk alone, like anyone else's plugin.
package main
