// Package node tests the plugin of examples/node-principal-mapper, which is written in TypeScript without the SDK: it keeps to
// the contract, and a daemon decides by it. npm installs and builds it, in a folder of the user's cache for the packages.
package node
