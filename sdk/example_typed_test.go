package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/sdk"
)

// grade is a type of an author's own: what reads itself from text is a string in the configuration, and its error is shown at
// its line.
type grade int

func (g *grade) UnmarshalText(text []byte) error {
	at := slices.Index([]string{"low", "medium", "high"}, string(text))
	if at < 0 {
		return errors.New("low, medium or high is wanted")
	}
	*g = grade(at)
	return nil
}

// retry is a block. A block that is left out is nil, and its defaults are the constructor's business.
type retry struct {
	Times int          `json:"times" default:"3" doc:"how often, 1 to 10"`
	Rest  sdk.Duration `json:"rest" default:"PT1S" doc:"how long to wait between two attempts"`
}

type server struct {
	URL    string `json:"url" doc:"address of the server"`
	Weight int    `json:"weight" default:"1" doc:"share of the questions that it gets"`
}

// everything has a setting of each kind. Keys are required, but for those with a default or omitempty.
type everything struct {
	Servers  []server          `json:"server" doc:"who is asked; a block for each"`
	Password sdk.SecretRef     `json:"password" doc:"reference to the password in a secret store"`
	Claim    sdk.ClaimPath     `json:"claim" default:"sub" doc:"path of the claim that is asked about"`
	Timeout  sdk.Duration      `json:"timeout" default:"PT2S" doc:"longest time for an answer, at most PT30S"`
	Grade    grade             `json:"grade" default:"medium" doc:"least grade that lets in: low, medium or high"`
	Strict   bool              `json:"strict" default:"true" doc:"whether answers without a grade are errors"`
	Tags     []string          `json:"tags,omitempty" doc:"sent with each question"`
	Headers  map[string]string `json:"headers,omitempty" doc:"headers of each question"`
	Retry    *retry            `json:"retry,omitempty" doc:"how a question is asked again; once only without it"`
}

// newEverything checks what no type can say. All faults come at once, each at its key.
func newEverything(ctx context.Context, _ sdk.Setup, s everything) (*everything, error) {
	var faults []error
	if s.Timeout.Std() > 30*time.Second {
		faults = append(faults, sdk.At(errors.New("PT30S at most"), "timeout"))
	}
	for n, x := range s.Servers {
		if !strings.HasPrefix(x.URL, "https://") {
			faults = append(faults, sdk.At(errors.New("an https address is wanted"), "server", n, "url"))
		}
	}
	if s.Retry != nil && (s.Retry.Times < 1 || s.Retry.Times > 10) {
		faults = append(faults, sdk.At(errors.New("1 to 10 are wanted"), "retry", "times"))
	}
	if !s.Strict {
		sdk.Warn(ctx, sdk.At(errors.New("a server that gives no grade lets everybody in"), "strict"))
	}
	return &s, errors.Join(faults...)
}

func (*everything) MapPrincipal(context.Context, sdk.Identity) (sdk.PrincipalRef, error) {
	return sdk.PrincipalRef{}, errors.New("not part of this example")
}

// Settings are typed: defaults, blocks, lists, secrets, types of your own, checks of the constructor, and the schema that comes
// of all that.
func Example_settings() {
	offer := sdk.PrincipalMapperType("everything", newEverything)

	// What the host makes of
	//
	//	password = "urn:realmgate-secret:vault:app#password"
	//	grade    = "high"
	//	server { url = "https://a.example" }
	//	retry { times = 5 }
	impl, err := offer.Build(context.Background(), sdk.Setup{}, []byte(`{
		"password": "urn:realmgate-secret:vault:app#password", "grade": "high", "server": [{"url": "https://a.example"}], "retry": [{"times": 5}]
	}`))
	if err != nil {
		panic(err)
	}
	s := impl.(*everything)
	fmt.Println(s.Servers[0].Weight, s.Claim, s.Timeout, s.Grade, s.Strict, s.Retry.Times, s.Retry.Rest)

	_, err = offer.Build(context.Background(), sdk.Setup{}, []byte(`{"grade": "hi", "timeout": "PT1M", "server": [{"urll": ""}]}`))
	for _, p := range sdk.Problems(err) { // faults of types
		fmt.Println(p)
	}
	_, err = offer.Build(context.Background(), sdk.Setup{}, []byte(`{
		"password": "urn:realmgate-secret:vault:app", "timeout": "PT1M", "server": [{"url": "http://a.example"}], "retry": [{"times": 0}]
	}`))
	for _, p := range sdk.Problems(err) { // faults that the constructor finds
		fmt.Println(p)
	}

	var schema struct {
		Required   []string
		Properties map[string]any
	}
	_ = json.Unmarshal(offer.SettingsSchema(), &schema)
	fmt.Println(schema.Required)
	fmt.Println(len(schema.Properties))
	// Output:
	// 1 sub 2s 2 true 5 1s
	// /server/0/url: the key "url" is required
	// /server/0/urll: there is no key "urll" here; did you mean "url"?
	// /password: the key "password" is required
	// /grade: low, medium or high is wanted
	// /timeout: PT30S at most
	// /server/0/url: an https address is wanted
	// /retry/times: 1 to 10 are wanted
	// [server password]
	// 9
}
