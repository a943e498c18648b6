// Package settings knows what plugins say of the settings of their parts: which there are, what counts without being written, and
// which texts may be shown.
package settings
