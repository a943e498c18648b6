// Command bare is what the daemon is measured against: a server of net/http whose handler does no work. It reads the answers
// that it gives, by method, as JSON on its standard input; prints its address; and ends when the input does.
package main
