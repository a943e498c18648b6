// Package keyset owns the keys that sign a realm's tokens as they lie in files: which kinds of key there are, how a key is
// named, and the folder of keys that rotate.
//
// A key folder has a manifest, keys.json, and a PEM file (PKCS #8) per key. The manifest says when each key starts to sign
// and when it retires. Nothing else than the clock decides what a key does, so that all nodes that read the same folder
// agree without talking to each other:
//
//   - every key that is not retired is published, and what it signed is accepted;
//   - the last key of the manifest that has come to its time, and is not retired, signs.
//
// A new key is published for a while before it signs, so that whoever verifies tokens knows it by then. The former one
// retires when the last token that it signed has expired.
//
// Folder and files belong to one user: what others may read or write is refused.
package keyset
