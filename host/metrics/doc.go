// Package metrics owns what the daemon tells about itself in numbers: a registry, what is measured, and its exposition in
// the text format of Prometheus. What is measured is told by the other rooms through small interfaces of theirs, or read at
// each scrape.
//
// Labels are names of realms and plugins of the configuration, types of parts, and words of fixed lists. No label has a token, a secret or
// the name of a principal. At most [MaxRealms] realms have series of their own; what is beyond is counted together under
// [Other].
package metrics
