// Command realmgate-plugin-default is the plugin that comes with Realmgate: the parts that a realm without wishes of its
// own is made of. It is written against the sdk alone, like anyone else's plugin.
package main
