package main

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://gate@db/app":                 "",
		"postgres://gate@db/app?sslmode=disable": "",
		"postgres://gate:canary@db/app":          "must not hold the password",
		"postgres://gate@db/app?password=canary": "must not hold the password",
		"postgres://gate@db/app?sslmode=prefer":  "sslmode must be",
		"postgres://gate@db/app?sslmode=canary":  "a parameter",
		"postgres://db/app":                      "must be like",
		"postgres://gate@db":                     "must be like",
		"mysql://gate@db/app":                    "must be like",
	} {
		c, err := parse(address)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", address, err)
			} else if secure := c.ConnConfig.TLSConfig != nil; secure == strings.Contains(address, "disable") || len(c.ConnConfig.Fallbacks) > 0 {
				t.Errorf("%s: TLS is %v, with %d ways to fall back", address, secure, len(c.ConnConfig.Fallbacks))
			} else if secure && c.ConnConfig.TLSConfig.ServerName != "db" {
				t.Errorf("%s: the server's name is not checked", address)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}
