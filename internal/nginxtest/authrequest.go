package nginxtest

import (
	"fmt"
	"strings"
)

// AuthRequest is a proxy that asks a forward-auth endpoint about every request before it hands it to an upstream.
type AuthRequest struct {
	Auth     string   // URL of the endpoint, with its path
	Upstream string   // URL of the upstream, without a path: the request's own is kept as it is on the wire
	Headers  []string // headers of the endpoint's answer that reach the upstream instead of the client's own
}

// Config gives the proxy's part of a configuration for [Start]; it listens as "proxy". The endpoint gets the client's
// headers, no body, and the original request in X-Forwarded-Method, -Proto, -Host, -Uri, -Content-Length and -For.
func (a AuthRequest) Config() string {
	var set strings.Builder
	for i, h := range a.Headers {
		variable := strings.ReplaceAll(strings.ToLower(h), "-", "_")
		fmt.Fprintf(&set, "\t\t\tauth_request_set $identity%d $upstream_http_%s;\n", i, variable)
		fmt.Fprintf(&set, "\t\t\tproxy_set_header %s $identity%d;\n", h, i)
	}
	return fmt.Sprintf(`	server {
		listen {{listen "proxy"}};
		location / {
			auth_request /_auth;
%s			proxy_pass %s;
		}
		location = /_auth {
			internal;
			proxy_pass %s;
			proxy_pass_request_body off;
			proxy_set_header Content-Length "";
			proxy_set_header X-Forwarded-Method $request_method;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header X-Forwarded-Host $http_host;
			proxy_set_header X-Forwarded-Uri $request_uri;
			proxy_set_header X-Forwarded-Content-Length $content_length;
			proxy_set_header X-Forwarded-For $remote_addr;
		}
	}
`, set.String(), a.Upstream, a.Auth)
}
