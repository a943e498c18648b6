// Package doortest owns one question to a plugin that was written without the SDK: whether it speaks with nobody but the host that started
// it, once it has been started with mutual TLS.
package doortest
