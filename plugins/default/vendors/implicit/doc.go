// Package implicit owns the credential vendor for connections whose remote system asks for no credentials of ours.
package implicit
