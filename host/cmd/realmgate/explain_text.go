package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/realmgate/realmgate/host/admin"
)

// explanationText writes an explanation for people.
func explanationText(w io.Writer, got admin.Explained) {
	decisionText(w, got.Explanation, false)
	if got.Other == nil {
		return
	}
	fmt.Fprintf(w, "\nThe other configuration: %s\n", got.Other.Summary)
	if len(got.Differences) == 0 {
		fmt.Fprintln(w, "It decides in the same way.")
		return
	}
	fmt.Fprintln(w, "What differs:")
	for _, d := range got.Differences {
		fmt.Fprintf(w, "  %s: %s -> %s\n", d.What, cmp.Or(d.Here, "none"), cmp.Or(d.There, "none"))
	}
}

// decisionText writes how one configuration decides; inputs also says what each stage was given.
func decisionText(w io.Writer, e admin.Explanation, inputs bool) {
	fmt.Fprintf(w, "%s (%d%s) in %v\n%s\n\n", strings.ToUpper(e.Verdict), e.Status, spaced(e.Reason), millis(e.TookMS), e.Summary)
	fmt.Fprintf(w, "realm      %s, %s%s\n", e.Realm, e.Type, named(", tenant ", e.Tenant))
	if e.Chosen != "" {
		fmt.Fprintf(w, "           %s\n", e.Chosen)
	}
	certificateText(w, e.Certificate)
	if e.Principal != nil {
		fmt.Fprintf(w, "principal  %s (id %s)\n", cmp.Or(e.Principal.Name, "-"), cmp.Or(e.Principal.ID, "-"))
	}
	if r := e.Roles; r != nil {
		fmt.Fprintf(w, "roles      requested %s\n           granted   %s\n           active    %s\n", list(r.Requested), list(r.Granted), list(r.Active))
	}
	if e.Issuer != "" {
		fmt.Fprintf(w, "issuer     %s\n", e.Issuer)
	}
	if e.TokenID != "" {
		fmt.Fprintf(w, "token id   %s\n", e.TokenID)
	}
	if e.Expires != nil {
		fmt.Fprintf(w, "expires    %s\n", e.Expires.Format(time.RFC3339))
	}
	cacheText(w, e.Cache)
	for _, r := range e.Routes {
		fmt.Fprintf(w, "\n%s: %s\n", r.Source, r.Summary)
		if r.Verdict == "not_asked" {
			continue
		}
		for n, s := range r.Stages {
			given := ""
			if inputs && len(s.Read) > 0 {
				given = indented(s.Read)
				if at := slices.IndexFunc(r.Stages[:n], func(o admin.ExplainedStage) bool { return bytes.Equal(o.Made, s.Read) }); at >= 0 {
					given = fmt.Sprintf("what %d. gives", at+1)
				}
			}
			stageText(w, n+1, s, given)
		}
	}
}

func certificateText(w io.Writer, c *admin.ExplainedCertificate) {
	if c == nil {
		return
	}
	fmt.Fprintf(w, "client     %s, certified by %s until %s\n           serial %s, SHA-256 %s\n", c.Subject, c.Issuer, c.Expires.Format(time.RFC3339), c.Serial, c.Digest)
	fmt.Fprintln(w, "           that the caller has the key of this certificate was not proven: an explanation makes no handshake")
	for _, l := range c.Listeners {
		if l.Takes {
			fmt.Fprintf(w, "           listener %s takes it\n", l.Name)
		} else {
			fmt.Fprintf(w, "           listener %s does not take it: %s\n", l.Name, l.Why)
		}
	}
}

func cacheText(w io.Writer, c admin.ExplainedCache) {
	switch c.State {
	case "hit":
		fmt.Fprintf(w, "cache      hit: such a request is answered %s from memory for %v yet\n", c.Verdict, seconds(c.LeftS))
	default:
		fmt.Fprintf(w, "cache      %s: %s\n", c.State, c.Why)
	}
	if c.StoreS > 0 {
		fmt.Fprintf(w, "           this answer may be remembered for %v: %s\n", seconds(c.StoreS), c.StoreWhy)
		return
	}
	fmt.Fprintf(w, "           this answer may not be remembered: %s\n", c.StoreWhy)
}

func stageText(w io.Writer, n int, s admin.ExplainedStage, given string) {
	head := s.Kind
	if s.Type != "" {
		head += "(" + s.Type + ")"
	}
	fmt.Fprintf(w, "  %d. %s: %s", n, head, strings.ReplaceAll(s.Outcome, "_", " "))
	if s.TookMS > 0 {
		fmt.Fprintf(w, " in %v", millis(s.TookMS))
	}
	fmt.Fprintln(w)
	if p := s.Plugin; p != nil {
		fmt.Fprintf(w, "     plugin %s%s, %s, instance %d%s\n", p.Name, named(" ", p.Version), p.State, p.Instance, place(s.At))
	}
	if s.Outcome == "denied" || s.Outcome == "failed" {
		fmt.Fprintf(w, "     %s\n", strings.TrimPrefix(strings.TrimSuffix(s.Reason+": "+s.Detail, ": "), ": "))
	}
	if given != "" {
		fmt.Fprintf(w, "     given %s\n", given)
	}
	for _, note := range s.Notes {
		fmt.Fprintf(w, "     - %s\n", note)
	}
	if len(s.Made) > 0 {
		fmt.Fprintf(w, "     gives %s\n", indented(s.Made))
	}
	if s.Cache != "" {
		fmt.Fprintf(w, "     %s\n", s.Cache)
	}
}

// indented gives JSON for people, under what stands before it.
func indented(raw json.RawMessage) string {
	const line = 100
	if len(raw) <= line {
		return string(raw)
	}
	var b bytes.Buffer
	if json.Indent(&b, raw, "     ", "  ") != nil {
		return string(raw)
	}
	return b.String()
}

func spaced(s string) string { return named(" ", s) }

func named(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

func millis(ms float64) time.Duration {
	return time.Duration(ms * float64(time.Millisecond)).Round(10 * time.Microsecond)
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond)
}
