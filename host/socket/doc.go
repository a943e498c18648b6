// Package socket owns unix sockets that only the user of the process and root may connect to: how they are opened, how one
// that was left behind is told from one in use, and who is at the other end.
package socket
