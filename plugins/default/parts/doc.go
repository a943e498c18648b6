// Package parts lists what the default plugin offers.
package parts
