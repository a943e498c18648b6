// Package pace sets how often a small process collects garbage. Daemon and plugins use it.
package pace
