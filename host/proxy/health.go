package proxy

import (
	"encoding/json"
	"net/http"
)

// healthOf gives the health endpoint: /healthz says that the process serves, /readyz that the daemon knows every connection.
func healthOf(remotes []*remote) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { state(w, http.StatusOK, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		connections, status := map[string]string{}, http.StatusOK
		for _, x := range remotes {
			connections[x.name] = "ready"
			if _, err := x.ask(r.Context()); err != nil {
				connections[x.name], status = unsigned(err).code, http.StatusServiceUnavailable
			}
		}
		state(w, status, connections)
	})
	return mux
}

func state(w http.ResponseWriter, status int, connections map[string]string) {
	body := map[string]any{"status": map[bool]string{true: "ok", false: "unavailable"}[status == http.StatusOK]}
	if connections != nil {
		body["connections"] = connections
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
