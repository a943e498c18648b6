package egress_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/realmgate/realmgate/sdk/egress"
)

// What a caller names is looked at when it comes, and by NewClient once more when it is connected to.
func ExampleList_CheckURL() {
	deny, err := egress.Parse([]string{"10.0.0.0/8", "169.254.169.254"})
	if err != nil {
		panic(err)
	}
	for _, text := range []string{"https://idp.example.com/keys", "http://10.1.2.3/", "http://0x0a010203/"} {
		u, err := url.Parse(text)
		if err != nil {
			panic(err)
		}
		fmt.Println(u.Host, deny.CheckURL(u) == nil)
	}
	client := egress.NewClient(egress.Options{Deny: deny})
	_, err = client.Get("http://169.254.169.254/latest/meta-data/")
	fmt.Println(errors.Is(err, egress.ErrRefused))
	// Output:
	// idp.example.com true
	// 10.1.2.3 false
	// 0x0a010203 false
	// true
}

func ExampleReadAll() {
	text, err := egress.ReadAll(strings.NewReader("keys"), 4)
	fmt.Println(string(text), err)
	_, err = egress.ReadAll(strings.NewReader("keys and more"), 4)
	fmt.Println(err)
	// Output:
	// keys <nil>
	// the answer is too long: more than 4 bytes
}

func ExampleCheckSecret() {
	for _, text := range []string{"https://idp.example.com/token", "http://127.0.0.1:8080/token", "http://idp.example.com/token"} {
		u, err := url.Parse(text)
		if err != nil {
			panic(err)
		}
		fmt.Println(u.Scheme, u.Hostname(), egress.CheckSecret(u) == nil)
	}
	// Output:
	// https idp.example.com true
	// http 127.0.0.1 true
	// http idp.example.com false
}
