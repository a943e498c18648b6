package protocol

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	pluginv1 "github.com/realmgate/realmgate/proto/realmgate/plugin/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/realmgate/realmgate/internal/buildtest"
	"github.com/realmgate/realmgate/internal/doctest"
)

func page(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(buildtest.Root(t), "docs", "plugins", "protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// table gives the cells of the rows of the page's one table that begins with these heads.
func table(t *testing.T, heads ...string) (rows [][]string) {
	t.Helper()
	_, text, found := strings.Cut(page(t), "\n| "+strings.Join(heads, " | ")+" |")
	if !found {
		t.Fatalf("the page has no table %q", heads)
	}
	for n, line := range strings.Split(text, "\n") {
		switch {
		case n < 2: // the rest of the head, and the line below it
		case !strings.HasPrefix(line, "| "):
			return rows
		default:
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			rows = append(rows, cells)
		}
	}
	return rows
}

// quoted gives what stands in backquotes in a text, in order.
func quoted(text string) (out []string) {
	for n, part := range strings.Split(text, "`") {
		if n%2 == 1 {
			out = append(out, part)
		}
	}
	return out
}

// column gives what is quoted in a column of a table.
func column(rows [][]string, n int) (out []string) {
	for _, row := range rows {
		out = append(out, quoted(row[n])...)
	}
	return out
}

// enum gives the names of an enum's values, but for the one that says nothing.
func enum(e protoreflect.EnumDescriptor) (out []string) {
	for i := range e.Values().Len() {
		if v := e.Values().Get(i); v.Number() != 0 {
			out = append(out, string(v.Name()))
		}
	}
	return out
}

// members gives the names of the fields of which a message has one.
func members(m proto.Message, oneof protoreflect.Name) (out []string) {
	fields := m.ProtoReflect().Descriptor().Oneofs().ByName(oneof).Fields()
	for i := range fields.Len() {
		out = append(out, string(fields.Get(i).Name()))
	}
	return out
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: the page has %q, and there is %q", what, got, want)
	}
}

// The page names every service, kind, ability, mode, question and want of the contract, and no other.
func TestContract(t *testing.T) {
	t.Parallel()
	kinds, abilities := table(t, "kind", "service", "scope"), table(t, "ability", "service", "of")
	same(t, "kinds", column(kinds, 0), enum(pluginv1.Kind(0).Descriptor()))
	same(t, "abilities", column(abilities, 0), enum(pluginv1.Ability(0).Descriptor()))
	const contract = "realmgate.plugin.v1."
	var named, there, foreign []string
	for _, name := range column(table(t, "service", "what for"), 0) {
		if own, ok := strings.CutPrefix(name, contract); ok {
			named = append(named, own)
		} else {
			foreign = append(foreign, name)
		}
	}
	same(t, "services of others", foreign, []string{"grpc.health.v1.Health", "plugin.GRPCController", "plugin.GRPCStdio"})
	protoregistry.GlobalFiles.RangeFilesByPackage("realmgate.plugin.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			there = append(there, string(f.Services().Get(i).Name()))
		}
		return true
	})
	same(t, "services", slices.Compact(slices.Sorted(slices.Values(slices.Concat(named, column(kinds, 1), column(abilities, 1))))), there)
	// Each kind's service is named after it.
	for _, row := range kinds {
		kind, service := quoted(row[0])[0], quoted(row[1])[0]
		if strings.ReplaceAll(strings.TrimPrefix(kind, "KIND_"), "_", "") != strings.ToUpper(service) {
			t.Errorf("the service of %s is not %s", kind, service)
		}
	}
	modes := column(table(t, "`session`", "what comes there"), 0)
	same(t, "modes", modes, append(enum(pluginv1.SessionMode(0).Descriptor()), "SESSION_MODE_UNSPECIFIED"))
	questions := table(t, "question", "answer", "no", "who may ask")
	var asked, wants []string
	for _, row := range questions {
		asked = append(asked, quoted(row[0])[0])
		for _, q := range quoted(row[3]) {
			if strings.HasPrefix(q, "WANT_") {
				wants = append(wants, q)
			}
		}
	}
	same(t, "questions", asked, members(&pluginv1.HostCall{}, "call"))
	same(t, "wants", wants, enum(pluginv1.Want(0).Descriptor()))
	var scopes []string
	for _, row := range kinds {
		scopes = append(scopes, row[2])
	}
	same(t, "scopes", slices.Compact(slices.Sorted(slices.Values(scopes))), members(&pluginv1.Scope{}, "of"))
}

// The messages that the page shows are ones of the contract.
func TestMessages(t *testing.T) {
	t.Parallel()
	for _, block := range doctest.Blocks(t, "docs/plugins/protocol.md", "textproto") {
		for _, text := range strings.Split("\n"+block.Text, "\n# ")[1:] {
			head, body, _ := strings.Cut(text, "\n")
			_, name, _ := strings.Cut(head, ": ")
			typ, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
			if err != nil {
				t.Errorf("%s: %v", head, err)
				continue
			}
			if err := prototext.Unmarshal([]byte(body), typ.New().Interface()); err != nil {
				t.Errorf("%s: %v\n%s", head, err, body)
			}
		}
	}
}

// limits gives the page's limits, in bytes or as a number.
func limits(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, row := range table(t, "what", "at most", "beyond it") {
		fields := strings.Fields(row[1])
		n, err := strconv.Atoi(fields[0])
		if err != nil {
			t.Fatalf("%q: %v", row, err)
		}
		if len(fields) > 1 {
			n <<= map[string]int{"MiB": 20, "KiB": 10}[fields[1]]
		}
		out[row[0]] = n
	}
	return out
}
