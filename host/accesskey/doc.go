// Package accesskey owns the keys with which principals sign their requests: it draws them, shows their secret once, hands
// it to host/custody, and keeps in the directory who may sign with which key.
package accesskey
