// Package child owns one operating-system process that runs a plugin: what is executed, what the process is given and may
// use, what it prints, and its end. Nobody else starts a plugin or holds a go-plugin client.
//
// A [Program] says what is run; [Load] verifies it and gives an [Image], of which a [Starter] makes processes. A [Process]
// has shaken hands and can be called through its connection; it is ended by [Process.Stop], by [Process.Kill], or with its
// Starter.
//
// A process takes with it all that it started, also what left its process group: with a control group nothing gets away,
// without one what hid where it came from does. What a host that was killed left behind is ended when the next one starts.
//
// A process may have another [User] than the host, of its own or out of a [Range] that nobody else is in. A program that has such
// ones calls [Main] first: a process limits itself before it becomes a plugin's, as it is not the host's to limit any more.
//
// A process is given the host's working directory, a clean environment, a socket directory of its own and its own process
// group. Nothing that it prints reaches a log without bounds, without being stripped of control characters, and without
// passing the [Redactor].
package child
