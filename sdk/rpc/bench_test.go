package rpc

import (
	"testing"
)

// BenchmarkLeg compares an external decision's five stages in process, in one leg on the stream, and in five unary calls.
func BenchmarkLeg(b *testing.B) {
	f := &fake{}
	b.Run("direct", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := direct(b.Context(), f, external, request("x")); err != nil {
					b.Error(err)
				}
			}
		})
	})
	for name, unary := range map[string]bool{"stream": false, "unary": true} {
		b.Run(name, func(b *testing.B) {
			p := startFake(b, f, &fakeHost{}, unary)
			b.ReportAllocs()
			b.SetParallelism(32)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := p.Run(b.Context(), "realm1", external, request("x")); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
