package awstest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Stores is Secrets Manager and the parameter store of Systems Manager, as far as their resolvers need them: the operations
// over the JSON protocol, versions, signatures checked.
type Stores struct {
	URL string

	mu      sync.Mutex
	keys    Keys
	secrets map[string][]version // by name, the newest last
	fail    func(w http.ResponseWriter) bool
	deleted []map[string]any
}

type version struct {
	id, text string
	binary   []byte
	typ      string
}

// NewStores serves until the test ends.
func NewStores(t testing.TB, keys Keys) *Stores {
	t.Helper()
	s := &Stores{keys: keys, secrets: map[string][]version{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Put adds a version of a secret or parameter.
func (s *Stores) Put(name, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(name, version{text: text})
}

func (s *Stores) put(name string, v version) version {
	v.id = fmt.Sprintf("00000000-0000-0000-0000-%012d", len(s.secrets[name])+1)
	s.secrets[name] = append(s.secrets[name], v)
	return v
}

// Names lists what is kept.
func (s *Stores) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for name := range s.secrets {
		out = append(out, name)
	}
	return out
}

// Deleted gives the requests to delete.
func (s *Stores) Deleted() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deleted
}

// Do has f look at each question first; it answers true if it answered. nil: well again.
func (s *Stores) Do(f func(w http.ResponseWriter) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

// ServeHTTP is http.Handler's.
func (s *Stores) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil && s.fail(w) {
		return
	}
	service, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	name := map[string]string{"secretsmanager": "secretsmanager", "AmazonSSM": "ssm"}[service]
	if _, err := (Verifier{Keys: s.keys, Region: "eu-central-1", Service: name}).Verify(r, body); err != nil {
		JSONFail(w, 400, "InvalidSignatureException")
		return
	}
	var in map[string]any
	if json.Unmarshal(body, &in) != nil {
		JSONFail(w, 400, "SerializationException")
		return
	}
	text := func(key string) string { v, _ := in[key].(string); return v }
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	out := map[string]any{}
	switch operation {
	case "GetSecretValue":
		v, ok := s.secret(text("SecretId"), text("VersionId"), text("VersionStage"))
		if !ok {
			JSONFail(w, 400, "ResourceNotFoundException")
			return
		}
		out["VersionId"] = v.id
		if v.binary != nil {
			out["SecretBinary"] = v.binary
		} else {
			out["SecretString"] = v.text
		}
	case "PutSecretValue", "CreateSecret":
		id := text("SecretId") + text("Name")
		if (s.secrets[id] == nil) != (operation == "CreateSecret") {
			JSONFail(w, 400, map[bool]string{true: "ResourceNotFoundException", false: "ResourceExistsException"}[operation == "PutSecretValue"])
			return
		}
		v := version{text: text("SecretString")}
		if b, ok := in["SecretBinary"].(string); ok {
			v.binary, _ = base64.StdEncoding.DecodeString(b)
		}
		out["VersionId"] = s.put(id, v).id
	case "GetParameter":
		name, selector, _ := strings.Cut(text("Name"), ":")
		v, number, ok := s.parameter(name, selector)
		if !ok || in["WithDecryption"] != true {
			JSONFail(w, 400, "ParameterNotFound")
			return
		}
		out["Parameter"] = map[string]any{"Name": name, "Value": v.text, "Version": number}
	case "PutParameter":
		v := s.put(text("Name"), version{text: text("Value"), typ: text("Type")})
		if v.typ != "SecureString" {
			JSONFail(w, 400, "UnsupportedParameterType")
			return
		}
		out["Version"] = len(s.secrets[text("Name")])
	case "DeleteSecret", "DeleteParameter":
		id := text("SecretId") + text("Name")
		if s.secrets[id] == nil {
			JSONFail(w, 400, map[bool]string{true: "ResourceNotFoundException", false: "ParameterNotFound"}[operation == "DeleteSecret"])
			return
		}
		delete(s.secrets, id)
		s.deleted = append(s.deleted, in)
	default:
		JSONFail(w, 400, "UnknownOperationException")
		return
	}
	_ = json.NewEncoder(w).Encode(out)
}

// secret finds a version by its id or stage; AWSPREVIOUS is the one before the newest.
func (s *Stores) secret(name, id, stage string) (version, bool) {
	all := s.secrets[name]
	for i, v := range all {
		current := i == len(all)-1 && (stage == "" || stage == "AWSCURRENT")
		if v.id == id || id == "" && (current || stage == "AWSPREVIOUS" && i == len(all)-2) {
			return v, true
		}
	}
	return version{}, false
}

func (s *Stores) parameter(name, selector string) (version, int, bool) {
	all := s.secrets[name]
	number := len(all)
	switch n, err := strconv.Atoi(selector); {
	case err == nil:
		number = n
	case selector == "first":
		number = 1
	case selector != "":
		return version{}, 0, false
	}
	if number < 1 || number > len(all) {
		return version{}, 0, false
	}
	return all[number-1], number, true
}

// JSONFail answers with an error.
func JSONFail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": "reflected text"})
}
