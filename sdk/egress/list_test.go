package egress

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func list(t testing.TB, prefixes ...string) List {
	t.Helper()
	l, err := Parse(prefixes)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestDefault(t *testing.T) {
	t.Parallel()
	for _, l := range []List{Default(), {}} {
		checkDefault(t, l)
	}
}

func checkDefault(t *testing.T, l List) {
	t.Helper()
	for _, a := range []string{
		"169.254.169.254", "169.254.170.2", "169.254.0.1", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe",
		"::169.254.169.254", "::ffff:0:169.254.169.254", "64:ff9b:1::169.254.169.254", "64:ff9b:1:a9fe:a9:fe00::", "2002:a9fe:a9fe::1",
		"fe80::1", "fe80::1%eth0", "fe80::a9fe:a9fe%1", "febf::1", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "100.100.100.200",
		"168.63.129.16", "192.0.0.192", "0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0", "64:ff9b::",
	} {
		if err := l.Check(netip.MustParseAddr(a)); !errors.Is(err, ErrRefused) {
			t.Errorf("%s is not refused: %v", a, err)
		}
	}
	for _, a := range []string{
		"127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "169.253.255.255", "169.255.0.0", "8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
		"2001:db8::1", "fec0::1", "fd00:ec3::1", "100.100.100.201", "2002:808:808::1", "64:ff9b:1:808:8:800::",
	} {
		if err := l.Check(netip.MustParseAddr(a)); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	if err := l.Check(netip.Addr{}); !errors.Is(err, ErrRefused) {
		t.Error("no address is not refused")
	}
}

// 0.0.0.0 is this machine: who refuses this machine refuses both.
func TestUnspecifiedIsLoopback(t *testing.T) {
	t.Parallel()
	for _, l := range []List{list(t, "127.0.0.0/8"), list(t, "::1")} {
		for _, a := range []string{"0.0.0.0", "::", "::ffff:0.0.0.0", "64:ff9b::"} {
			if err := l.Check(netip.MustParseAddr(a)); !errors.Is(err, ErrRefused) {
				t.Errorf("%s is not refused by %v: %v", a, l, err)
			}
		}
	}
	none, err := Parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []List{none, list(t, []string{}...), AllowAll()} {
		for _, a := range DefaultPrefixes() {
			if err := l.Check(netip.MustParsePrefix(a).Addr()); err != nil {
				t.Errorf("the empty list refuses: %v", err)
			}
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	l := list(t, "10.0.0.0/8", "::ffff:192.168.0.0/112", "192.0.2.1", "2001:db8::/32")
	for a, refused := range map[string]bool{"10.1.2.3": true, "192.168.9.9": true, "192.169.0.0": false, "192.0.2.1": true, "192.0.2.2": false, "2001:db8::9": true} {
		if err := l.Check(netip.MustParseAddr(a)); refused != errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", a, err)
		}
	}
	for bad, want := range map[string]string{
		"": `""`, "10.0.0.0/33": "10.0.0.0/33", "example.com": "example.com", "10.0.0.1/8": "is 10.0.0.0/8 meant?", "fe80::1%eth0": "neither",
		"::ffff:0:0/90": "IPv4 prefix itself", "0x7f.1": "neither",
	} {
		if _, err := Parse([]string{"10.0.0.0/8", bad}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", bad, err, want)
		}
	}
	if _, err := Parse(DefaultPrefixes()); err != nil {
		t.Error(err)
	}
}

func TestDialer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1", "0.0.0.0", "::"} {
		conn, err := list(t, "127.0.0.0/8", "::1").Dialer().DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want a refusal", host, err)
		}
		if conn != nil {
			_ = conn.Close()
		}
	}
	for _, deny := range []List{{}, Default()} {
		conn, err := deny.Dialer().DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	if _, err := Default().Dialer().DialContext(t.Context(), "unix", "/nonexistent"); !errors.Is(err, ErrRefused) {
		t.Errorf("a unix socket: %v", err)
	}
}
