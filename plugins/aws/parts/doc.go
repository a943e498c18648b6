// Package parts lists what the AWS plugin offers.
package parts
