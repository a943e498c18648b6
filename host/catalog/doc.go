// Package catalog owns the plugins: it finds them, asks what they offer, configures, supervises and stops them. Their
// processes are made by package child.
//
// [Catalog.Prepare] gives a [Set]: the plugins of a list of [Source], for one configuration. It starts those that are new or
// whose binary has changed, beside what runs, and shares the others with the sets before it; a plugin ends when the last set
// that has it is closed. A plugin that does not start is tried again, see [Set.Changed].
//
// A plugin that keeps realms apart ([Source].PerRealm) has a process for each realm, which the first instance of the realm has
// started; sets share these, too.
//
// [Set.Configure] makes instances of what the plugins offer; a [Handle] stands for one, whichever process serves it at the
// moment. A process that dies is started again, and its instances are configured again, without the holders of handles
// noticing more than calls that fail meanwhile. The same holds for an instance that could not be configured, the first time
// or later, although its settings may be right.
package catalog
