// Command realmgate-plugin-aws is the plugin for Amazon Web Services and what speaks their protocols. It is written against
// the sdk alone, like anyone else's plugin.
package main
