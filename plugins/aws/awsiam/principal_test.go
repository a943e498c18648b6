package awsiam

import (
	"encoding/xml"
	"strings"
	"testing"
)

func TestCanonicalARN(t *testing.T) {
	t.Parallel()
	for arn, want := range map[string]string{
		"arn:aws:iam::111122223333:root":                               "arn:aws:iam::111122223333:root root",
		"arn:aws:iam::111122223333:user/alice":                         "arn:aws:iam::111122223333:user/alice user",
		"arn:aws:iam::111122223333:user/a/b/alice":                     "arn:aws:iam::111122223333:user/a/b/alice user",
		"arn:aws:sts::111122223333:assumed-role/R/S":                   "arn:aws:iam::111122223333:role/R assumed-role S",
		"arn:aws-cn:sts::111122223333:assumed-role/R/a@b.c":            "arn:aws-cn:iam::111122223333:role/R assumed-role a@b.c",
		"arn:aws:sts::111122223333:federated-user/bob":                 "arn:aws:sts::111122223333:federated-user/bob federated-user",
		"arn:aws:iam::111122223333:role/R":                             "",
		"arn:aws:iam::111122223333:assumed-role/R/S":                   "",
		"arn:aws:sts::111122223333:user/alice":                         "",
		"arn:aws:sts::111122223333:assumed-role/R":                     "",
		"arn:aws:sts::111122223333:assumed-role/R/S/T":                 "",
		"arn:aws:sts::111122223333:assumed-role/R/":                    "",
		"arn:aws:sts::111122223333:federated-user/a/b":                 "",
		"arn:aws:iam::111122223333:root/x":                             "",
		"arn:aws:iam::111122223333:user":                               "",
		"arn:aws:iam::111122223334:user/alice":                         "",
		"arn:aws:iam::11112222333:user/alice":                          "",
		"arn:aws:iam:eu-west-1:111122223333:user/alice":                "",
		"arn::iam::111122223333:user/alice":                            "",
		"urn:aws:iam::111122223333:user/alice":                         "",
		"arn:aws:iam::111122223333:user/al ice":                        "",
		"arn:aws:iam::111122223333:user/\u00e9":                        "",
		"":                                                             "",
		"arn:aws:iam::111122223333:user/" + strings.Repeat("x", 2<<10): "",
	} {
		p, err := newPrincipal(caller{account: "111122223333", arn: arn, userID: "U:S"}, "")
		got := strings.TrimSpace(p.canonical + " " + p.resourceType + " " + p.session)
		if (err != nil) != (want == "") || got != want || err == nil && (p.uniqueID != "U" || p.arn != arn) {
			t.Errorf("%.60s: %q, %v, want %q", arn, got, err, want)
		}
	}
}

// Whatever an answer says, what is read of it is the one account, ARN and user id in it.
func FuzzAnswer(f *testing.F) {
	const open, shut = `<GetCallerIdentityResponse xmlns="` + namespace + `"><GetCallerIdentityResult>`, `</GetCallerIdentityResult></GetCallerIdentityResponse>`
	f.Add(open + "<Arn>a</Arn><UserId>b</UserId><Account>c</Account>" + shut)
	f.Add(open + "<Arn>a&amp;</Arn><UserId>b</UserId><Account><![CDATA[c]]></Account>" + shut)
	f.Add(`<ErrorResponse xmlns="` + namespace + `"><Error><Code>X</Code></Error></ErrorResponse>`)
	f.Fuzz(func(t *testing.T, raw string) {
		c, err := readCaller(raw)
		if err != nil {
			if c != (caller{}) {
				t.Errorf("%+v beside %v", c, err)
			}
			return
		}
		var b strings.Builder
		b.WriteString(open)
		for name, text := range map[string]string{"Arn": c.arn, "UserId": c.userID, "Account": c.account} {
			b.WriteString("<" + name + ">")
			if err := xml.EscapeText(&b, []byte(text)); err != nil {
				t.Fatal(err)
			}
			b.WriteString("</" + name + ">")
		}
		b.WriteString(shut)
		if again, err := readCaller(b.String()); err != nil || again != c {
			t.Errorf("%q: %+v, then %+v, %v", raw, c, again, err)
		}
	})
}
