package origin

import (
	"net/netip"
	"strings"
	"testing"
)

func TestClient(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	tests := []struct {
		name, peer string
		forwarded  []string
		want       string // invalid IP: no address
	}{
		{"nobody speaks for it", "192.0.2.1:5", nil, "192.0.2.1"},
		{"a stranger's word does not count", "192.0.2.1:5", []string{"198.51.100.9"}, "192.0.2.1"},
		{"a proxy's word counts", "10.0.0.1:5", []string{"198.51.100.9"}, "198.51.100.9"},
		{"what the client put before does not", "10.0.0.1:5", []string{"127.0.0.1, 198.51.100.9"}, "198.51.100.9"},
		{"nor in a header of its own", "10.0.0.1:5", []string{"127.0.0.1", "198.51.100.9"}, "198.51.100.9"},
		{"a chain of proxies", "10.0.0.1:5", []string{"127.0.0.1, 198.51.100.9, 10.0.0.2"}, "198.51.100.9"},
		{"proxies only", "10.0.0.1:5", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"junk ends it", "10.0.0.1:5", []string{"198.51.100.9, junk, 10.0.0.2"}, "10.0.0.2"},
		{"empty", "10.0.0.1:5", []string{""}, "10.0.0.1"},
		{"empty item", "10.0.0.1:5", []string{"198.51.100.9,"}, "10.0.0.1"},
		{"with a port", "10.0.0.1:5", []string{"198.51.100.9:99"}, "198.51.100.9"},
		{"IPv6", "[fd00::1]:5", []string{"[2001:db8::1]:99"}, "2001:db8::1"},
		{"IPv6 in brackets", "[fd00::1]:5", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"a mapped proxy", "[::ffff:10.0.0.1]:5", []string{"::ffff:198.51.100.9"}, "198.51.100.9"},
		{"a zone", "[fe80::1%eth0]:5", nil, "fe80::1"},
		{"a unix socket", "uid=0 pid=1", []string{"198.51.100.9"}, "invalid IP"},
		{"a very long list", "10.0.0.1:5", []string{strings.Repeat("127.0.0.1,", 100_000) + "198.51.100.9"}, "198.51.100.9"},
	}
	for _, tt := range tests {
		if o := New("main", tt.peer, tt.forwarded, proxies); o.Client.String() != tt.want || o.Peer != tt.peer || o.Listener != "main" {
			t.Errorf("%s: %+v, want %s", tt.name, o, tt.want)
		}
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
	} {
		if got := (Origin{Client: netip.MustParseAddr(addr)}).Network(); got.String() != want {
			t.Errorf("%s: %v, want %s", addr, got, want)
		}
	}
	if got := (Origin{}).Network(); got.IsValid() {
		t.Errorf("no address has the network %v", got)
	}
	ctx := With(t.Context(), Origin{Listener: "l"})
	if From(ctx).Listener != "l" || From(t.Context()) != (Origin{}) {
		t.Error("the context does not carry the origin")
	}
}
