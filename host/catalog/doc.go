// Package catalog owns the plugins: it finds them, asks what they offer, configures, supervises and stops them. Their
// processes are made by package child.
//
// A [Catalog] starts one process per [Source] and learns what it offers. [Catalog.Configure] makes instances of what is
// offered; a [Handle] stands for one, whichever process serves it at the moment. A process that dies is started again, and
// its instances are configured again, without the holders of handles noticing more than calls that fail meanwhile. The same
// holds for an instance that could not be configured, the first time or later, although its settings may be right. A plugin
// that does not start at all is left alone until [Catalog.Start] is called again.
package catalog
