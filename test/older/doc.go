// Package older owns the proof that host and plugins need not be of the same age. An SDK, contract and daemon of an earlier day,
// as a module proxy has them, are in testdata/proxy; nothing of them is linked into a binary of ours. A plugin that is built with
// them serves in today's daemon, and plugins of today serve in the older daemon, and pass with the
// older conformance suite as the host.
package older
