// Package identity owns the keys of Realmgate's own identity towards AWS: from a secret, or from the default credential chain
// of the environment that the plugin runs in.
package identity
