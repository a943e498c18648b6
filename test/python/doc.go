// Package python tests the plugin of examples/python-authenticator, which is written in Python without an SDK: it keeps to the
// contract, made as docs/plugins/protocol.md says, and a daemon decides by it.
package python
