package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// answer is what is said to every request of a method.
type answer struct {
	Header map[string]string `json:"header"`
	Body   string            `json:"body"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var answers map[string]answer
	if err := json.NewDecoder(in).Decode(&answers); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := answers[r.Method]
		if !ok {
			http.NotFound(w, r)
			return
		}
		for name, value := range a.Header {
			w.Header().Set(name, value)
		}
		_, _ = io.WriteString(w, a.Body) // whoever asked has gone
	})}
	go func() {
		_, _ = io.Copy(io.Discard, in) // until whoever started this has ended
		_ = s.Close()
	}()
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
