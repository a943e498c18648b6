// Package catalog owns the plugin processes: it finds, verifies, starts, describes, configures, supervises and stops them.
// Nobody else holds a go-plugin client.
//
// A [Catalog] starts one process per [Source] and learns what it offers. [Catalog.Configure] makes instances of what is
// offered; a [Handle] stands for one, whichever process serves it at the moment. A process that dies is started again, and
// its instances are configured again, without the holders of handles noticing more than calls that fail meanwhile. The same
// holds for an instance that could not be configured, the first time or later, although its settings may be right. A plugin
// that does not start at all is left alone until [Catalog.Start] is called again.
//
// A plugin is given the daemon's working directory, a clean environment, a socket directory of its own and its own process
// group. Nothing that it prints reaches a log without bounds, without being stripped of control characters, and without
// passing the [Redactor].
package catalog
