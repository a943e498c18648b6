package sigv4

import (
	"slices"
	"strings"
	"testing"

	"github.com/realmgate/realmgate/sdk"
)

// No two callers have one name towards STS, whatever they and their realms are called.
func TestNames(t *testing.T) {
	t.Parallel()
	people := []sdk.Principal{{}, {ID: "alice"}}
	for _, name := range []string{
		"alice", "operator", "a/b", "a b", "a-b", "é", strings.Repeat("x", 64), strings.Repeat("x", 65), strings.Repeat("x", 66), strings.Repeat("x", 257), "a\nb", "x",
	} {
		people = append(people, sdk.Principal{ID: "1", Name: name})
	}
	for _, template := range []string{"{caller}", "realmgate-{realm}-{caller}", "{caller}{realm}"} {
		callers := slices.Clone(people)
		sources, tags, names := map[string]int{}, map[string]int{}, map[string]int{}
		ask := func(realm string, who sdk.Principal) (name, source, tag string) {
			f := newFixture(t, func(s *Settings) {
				s.SourceIdentity, s.SessionTags, s.SessionName = true, []string{"realm", "principal", "connection"}, template
			})
			r := request(realm, nil)
			r.Caller = who
			if _, err := f.Vend(f.ctx, r); err != nil {
				t.Fatal(err)
			}
			asked := f.sts.Asked()[0]
			for i, want := range []string{"RealmgateRealm", "RealmgatePrincipal", "RealmgateConnection"} {
				if got := asked.Get("Tags.member." + string(rune('1'+i)) + ".Key"); got != want {
					t.Errorf("the tag is %s, want %s", got, want)
				}
			}
			if asked.Get("Tags.member.1.Value") != realm || asked.Get("Tags.member.3.Value") != "lake" {
				t.Errorf("tags of %v", asked)
			}
			return asked.Get("RoleSessionName"), asked.Get("SourceIdentity"), asked.Get("Tags.member.2.Value")
		}
		for i := 0; i < len(callers); i++ {
			name, source, tag := ask("r1", callers[i])
			if !sessionPattern.MatchString(name) || !sessionPattern.MatchString(source) || len(tag) > 256 {
				t.Errorf("%+v has the session name %q, the source identity %q and the tag %q", callers[i], name, source, tag)
			}
			names[name]++
			sources[source]++
			tags[tag]++
			if i < len(people) && source != callers[i].Name { // who is named as somebody else was called
				callers = append(callers, sdk.Principal{ID: "2", Name: source})
			}
		}
		for what, seen := range map[string]map[string]int{"session name": names, "source identity": sources, "tag": tags} {
			if len(seen) != len(callers) {
				t.Errorf("%s: %d callers have %d of the kind %s: %v", template, len(callers), len(seen), what, seen)
			}
		}
		if template == "{caller}" {
			continue
		}
		first, _, _ := ask("a-b", sdk.Principal{Name: "c"})
		second, _, _ := ask("a", sdk.Principal{Name: "b-c"})
		if first == second {
			t.Errorf("%s: two callers of two realms are %s", template, first)
		}
	}
	for name, want := range map[string]string{"alice": "alice", "a-b": "a-b", "a@b.example": "a@b.example"} {
		if got := sessionName("{caller}", &sdk.Connection{}, subjectOf(sdk.Principal{Name: name})); got != want {
			t.Errorf("%s is called %s without need", name, got)
		}
	}
}

// The operator's session is not that of a principal who is named like it.
func TestOperatorIsNobodyElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for _, who := range []sdk.Principal{{}, {Name: "operator"}, {ID: "operator"}} {
		before := len(f.sts.Asked())
		r := request("r1", nil)
		r.Caller = who
		if _, err := f.Vend(f.ctx, r); err != nil || len(f.sts.Asked()) == before {
			t.Errorf("%+v gets the session of somebody else, %v", who, err)
		}
	}
}
