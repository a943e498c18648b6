// Package serve is what a plugin's main calls. It owns the handshake with the host, the gRPC server, the log on standard
// error and what the binary says when somebody runs it by hand.
//
//	func main() { serve.Main("acme", "1.0.0", sdk.PrincipalMapperType("badge", newMapper)) }
//
// For the host it has the other half of the handshake: [Handshake], [PluginName] and [PluginSet].
package serve
