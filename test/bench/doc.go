// Package bench owns the table of docs/performance.md: what the daemon costs, as ratios to a bare handler and the like that
// are measured in the same run. The daemon and its plugins are real processes; the load comes from this one, over loopback.
//
// Without -table its test is a run of seconds, in which nothing is long enough to be worth a number: it shows that every
// answer is right and that every row measures what it says.
package bench
