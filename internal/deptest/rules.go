package deptest

// rule says what a room must not import, directly or through others. Paths that start with "./" are below our module's
// path; a path covers what is below it.
type rule struct {
	rooms  []string
	exact  bool // the rooms' own packages only, not those below them
	deny   []string
	std    bool // the standard library only
	reason string
}

const (
	grpc     = "google.golang.org/grpc"
	goPlugin = "github.com/hashicorp/go-plugin"
	hcl      = "github.com/hashicorp/hcl"
)

// rootModule is what the root module is made of; sdk, proto and the plugins are below its path, but not of it.
var rootModule = []string{"./host", "./internal", "./plugins", "./examples", "./test"}

var clouds = []string{
	"github.com/aws", "github.com/Azure", "cloud.google.com/go", "google.golang.org/api",
	"github.com/hashicorp/vault", "github.com/openbao",
}

// rules is the table of docs/architecture.md.
var rules = []rule{
	{
		rooms: []string{"./host/config"}, deny: []string{"./host/catalog", "./host/pipeline", "./host/server", "./sdk"},
		reason: "a configuration is read and checked without knowing any part that it configures",
	},
	{
		rooms: []string{"./host/polaris"}, deny: []string{grpc, goPlugin, "./host/catalog", "./host/generation", "./host/server", "./sdk"},
		reason: "a configuration of another server is translated as a text",
	},
	{
		rooms: []string{"./host/pipeline"}, deny: []string{grpc, goPlugin, "./proto", hcl, "net/http"},
		reason: "a decision is made from nouns and interfaces, whatever carries them",
	},
	{
		rooms: []string{"./host/remember"}, deny: []string{grpc, goPlugin, "./proto", hcl, "net/http"},
		reason: "what is remembered are decisions, whatever they were asked by and made of",
	},
	{
		rooms: []string{"./host/child"}, deny: []string{hcl, "./host/catalog", "./host/config", "./host/generation", "./host/server", "./host/pipeline"},
		reason: "a process is started and ended without knowing what it is for",
	},
	{
		rooms: []string{"./host/catalog"}, deny: []string{hcl, "./host/server", "./host/pipeline"},
		reason: "plugin processes are run without knowing where their settings come from or what calls them",
	},
	{
		rooms: []string{"./host/settings"}, deny: []string{hcl, "./host/config", "./host/catalog", "./host/generation", "./host/server", "./host/pipeline"},
		reason: "what a plugin says of its settings is read without knowing what is written for them",
	},
	{
		rooms: []string{"./host/generation"}, deny: []string{"./host/server"},
		reason: "a generation is built without knowing the doors that lead to it",
	},
	{
		rooms: []string{"./host/explain"}, deny: []string{"./host/server", "./host/reload"},
		reason: "a decision is explained without knowing the door that it was asked at, or how what decides came to serve",
	},
	{
		rooms: []string{"./host/reload"}, deny: []string{"./host/server", "./host/admin"},
		reason: "a reload is done alike whoever asked for it, and whatever doors there are",
	},
	{
		rooms: []string{"./host/token", "./host/connection", "./host/custody", "./host/accesskey", "./host/secret", "./host/directory", "./host/admin"}, deny: []string{goPlugin, hcl},
		reason: "a domain room sees interfaces, not processes, and values, not files",
	},
	{
		rooms: []string{"./host/audit", "./host/limit"}, deny: []string{goPlugin, hcl, "./host/server", "./host/token", "./host/admin"},
		reason: "what is noted about requests and how many are let in is decided without knowing what they ask for",
	},
	{
		rooms: []string{"./host/origin", "./host/socket"}, std: true,
		reason: "where a request came from is told by its bytes, and by the kernel, alone",
	},
	{
		rooms: []string{"./host/lock"}, std: true,
		reason: "what may run is told by a file alone",
	},
	{
		rooms: []string{"./host/scaffold"}, deny: []string{grpc, goPlugin, hcl, "./sdk", "./proto", "net/http"},
		reason: "what a new plugin begins with is text",
	},
	{
		rooms: []string{"./host/proxy"}, deny: []string{goPlugin, hcl, "./host/server", "./host/catalog", "./host/generation", "./host/pipeline", "./plugins"},
		reason: "the proxy is a client of a daemon, which may be another machine's",
	},
	{
		rooms: []string{"./host/metrics"}, deny: []string{hcl, "./host/config", "./host/server", "./host/generation", "./host/pipeline"},
		reason: "what is measured is told by others, in words and numbers",
	},
	{
		rooms: []string{"./host/server"}, deny: []string{goPlugin, hcl},
		reason: "the doors translate between the wire and the nouns; what is behind them is none of their business",
	},
	{
		rooms: []string{"./sdk"}, exact: true, std: true,
		reason: "the nouns cost the author of a plugin no dependency",
	},
	{
		rooms: []string{"./sdk/keyset"}, deny: []string{grpc, goPlugin, hcl, "./proto", "github.com"},
		reason: "commands and brokers alike read key folders, at no dependency",
	},
	{
		rooms: []string{"./sdk/accesstoken"}, deny: []string{grpc, goPlugin, hcl, "./proto", "./sdk/rpc", "net/http"},
		reason: "what is in a token is known to every broker, at no dependency",
	},
	{
		rooms: []string{"./sdk/breaker"}, std: true,
		reason: "the host and clients of plugins alike leave alone what fails, at no dependency",
	},
	{
		rooms: []string{"./sdk/mac"}, std: true,
		reason: "host and plugins alike remember what depends on a secret text, at no dependency",
	},
	{
		rooms: []string{"./sdk/pace"}, std: true,
		reason: "daemon and plugins alike set when garbage is collected, at no dependency",
	},
	{
		rooms: []string{"./sdk/egress"}, std: true,
		reason: "whoever connects on behalf of others checks addresses, at no dependency",
	},
	{
		rooms: []string{"./sdk", "./proto"}, deny: append(clouds, rootModule...),
		reason: "a published module knows nothing above it, and no cloud",
	},
	{
		rooms: []string{"./host", "./internal", "./plugins/default"}, deny: clouds,
		reason: "the daemon and what always comes with it link no cloud: that is what the other plugins are for",
	},
	{
		rooms: []string{"./plugins"}, deny: []string{"./host", "./internal"},
		reason: "a bundled plugin is written as a third party's is, against the sdk alone",
	},
}

// maxRequires bounds the direct dependencies of a published module.
var maxRequires = map[string]int{"sdk": 6, "proto": 2}

// vague are names of packages that own nothing.
var vague = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared"}
