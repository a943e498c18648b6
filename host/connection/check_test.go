package connection

import (
	"fmt"
	"strings"
	"testing"
)

// bearer is a body with a bearer token. rest is added to connectionConfigInfo.
func bearer(name, uri, token, rest string) string {
	return fmt.Sprintf(`{"name":%q,"connectionConfigInfo":{"connectionType":"GENERIC_HTTP","uri":%q,"authenticationParameters":{"authenticationType":"BEARER","bearerToken":%q}%s}}`, name, uri, token, rest)
}

// sigV4 is a body that takes a role on; parameters are added to those of SIGV4.
func sigV4(name, parameters string) string {
	return fmt.Sprintf(`{"name":%q,"connectionConfigInfo":{"connectionType":"ICEBERG_REST","uri":"https://glue.us-east-1.amazonaws.com/iceberg","remoteCatalogName":"123456789012",
		"authenticationParameters":{"authenticationType":"SIGV4","signingRegion":"us-east-1"%s}}}`, name, parameters)
}

const role = `,"roleArn":"arn:aws:iam::123456789012:role/catalog"`

func oauth(name, parameters string) string {
	return fmt.Sprintf(`{"name":%q,"connectionConfigInfo":{"connectionType":"ICEBERG_REST","uri":"https://polaris.example.com/api/catalog",
		"authenticationParameters":{"authenticationType":"OAUTH","clientId":"c","clientSecret":"canary-oauth"%s}}}`, name, parameters)
}

func at(info string) string { return "400 invalid connectionConfigInfo." + info }
func auth(field string) string {
	return "400 invalid connectionConfigInfo.authenticationParameters." + field
}

// TestRefused: what cannot be accepted is refused with its place, and nothing is stored.
func TestRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3000)
	uri := func(u string) string { return bearer("a", u, "canary-token", "") }
	policy := func(p string) string { return sigV4("a", role+fmt.Sprintf(`,"sessionPolicy":%q`, p)) }
	with := func(rest string) string {
		return strings.TrimSuffix(bearer("a", "https://x.example.com", "canary-token", ""), "}") + "," + rest + "}"
	}
	property := func(k, v string) string { return with(fmt.Sprintf(`"properties":{%q:%q}`, k, v)) }
	polaris := func(rest string) string {
		return `{"catalog":` + strings.TrimSuffix(bearer("a", "https://x.example.com", "canary-token", ""), "}") + rest + "}}"
	}
	w := newWorld(t)
	for body, want := range map[string]string{
		``: "400 invalid", `[]`: "400 invalid", `{`: "400 invalid", `{}`: "400 invalid connectionConfigInfo", `null`: "400 invalid", "{} {}": "400 invalid", "{}x": "400 invalid",
		"{\"name\":\"\xff\"}": "400 invalid", `{"name":{}}`: "400 invalid name", `{"name":"a","name":"b"}`: "400 invalid name",
		with(`"nam":1`): "400 invalid nam", with(`"Name":"a"`): "400 invalid Name", bearer("a", "https://x.example.com", "t", `,"x":1`): at("x"),
		bearer("a", "https://x.example.com", "t", `,"warehouse":"w"`): at("warehouse"), bearer("a", "https://x.example.com", "t", `,"remoteCatalogName":"w"`): at("remoteCatalogName"),
		strings.Replace(bearer("a", "https://x.example.com", "t", ""), "GENERIC_HTTP", "generic_http", 1): at("connectionType"),
		strings.Replace(bearer("a", "https://x.example.com", "t", ""), `"BEARER"`, `"GCP"`, 1):            auth("authenticationType"),
		strings.Replace(bearer("a", "https://x.example.com", "t", ""), `"BEARER"`, `"IMPLICIT"`, 1):       auth("bearerToken"),
		strings.Replace(bearer("a", "https://x.example.com", "t", ""), `"t"`, `7`, 1):                     auth("bearerToken"),
		strings.Replace(bearer("a", "https://x.example.com", "t", ""), `"t"`, `""`, 1):                    auth("bearerToken"),
		strings.Replace(bearer("a", "https://x.example.com", "t", ""), `,"bearerToken":"t"`, ``, 1):       auth("bearerToken"),
		bearer("a", "https://x.example.com", "t\n", ""):                                                   auth("bearerToken"),
		bearer("a", "https://x.example.com", " t", ""):                                                    auth("bearerToken"),
		bearer("a", "https://x.example.com", strings.Repeat("t", 20_000), ""):                             auth("bearerToken"),
		bearer("a", "https://x.example.com", "urn:realmgate-secret:", ""):                                 auth("bearerToken"),
		bearer("a", "https://x.example.com", "urn:polaris-secret:local:../x", ""):                         auth("bearerToken"),
		bearer("", "https://x.example.com", "t", ""):                                                      "400 invalid name", bearer("a/b", "https://x.example.com", "t", ""): "400 invalid name",
		bearer("..", "https://x.example.com", "t", ""): "400 invalid name", bearer("é", "https://x.example.com", "t", ""): "400 invalid name", bearer(strings.Repeat("a", 129), "https://x.example.com", "t", ""): "400 invalid name",
		bearer("SYSTEM$x", "https://x.example.com", "t", ""): "400 invalid name",

		uri(""): at("uri"), uri("x.example.com"): at("uri"), uri("//x.example.com"): at("uri"), uri("ftp://x.example.com"): at("uri"), uri("https://"): at("uri"), uri("https:x"): at("uri"),
		uri("https://user:canary-uri@x.example.com"): at("uri"), uri("https://user@x.example.com"): at("uri"), uri("https://x.example.com/#f"): at("uri"), uri("https://x.example.com/#"): at("uri"),
		uri("https://x.example.com/?a=b"): at("uri"), uri("https://x.example.com/ a"): at("uri"), uri("https://x.example.com/é"): at("uri"), uri("https://x.example.com:0"): at("uri"),
		uri("https://x.example.com:70000"): at("uri"), uri(`https://x.example.com\@y`): at("uri"), uri("https://x.example.com/" + long): at("uri"),
		uri("http://169.254.169.254/latest"): at("uri"), uri("http://[fe80::1]/"): at("uri"), uri("http://[::ffff:169.254.169.254]/"): at("uri"), uri("http://2852039166/"): at("uri"),
		uri("http://0xa9fea9fe/"): at("uri"), uri("http://[fd00:ec2::254]/"): at("uri"), uri("http://metadata.example/"): at("uri"), uri("http://0.0.0.0/"): at("uri"),
		strings.Replace(strings.Replace(uri("hdfs://169.254.169.254/x"), "GENERIC_HTTP", "HADOOP", 1), "\n", "", 1): at("uri"),
		strings.Replace(uri("hdfs://2852039166/x"), "GENERIC_HTTP", "HADOOP", 1):                                    at("uri"), strings.Replace(uri("thrift://0xa9fea9fe:1/"), "GENERIC_HTTP", "HIVE", 1): at("uri"),
		strings.Replace(uri("s3://b/x?a=1;sessionToken=canary-uri"), "GENERIC_HTTP", "HADOOP", 1): at("uri"), strings.Replace(uri("s3://b/x?session%54oken=canary-uri"), "GENERIC_HTTP", "HADOOP", 1): at("uri"),
		strings.Replace(uri("hdfs://x/"), "GENERIC_HTTP", "HIVE", 1):   at("uri"),
		strings.Replace(uri("thrift:///x"), "GENERIC_HTTP", "HIVE", 1): at("uri"),

		sigV4("a", ``): auth("roleArn"), sigV4("a", role+`,"accessKeyId":"AKIAX"`): auth("accessKeyId"), sigV4("a", role+`,"secretAccessKey":"canary-key"`): auth("secretAccessKey"),
		sigV4("a", `,"accessKeyId":"AKIAX"`): auth("secretAccessKey"), sigV4("a", `,"accessKeyId":"A X","secretAccessKey":"canary-key"`): auth("accessKeyId"),
		sigV4("a", `,"accessKeyId":"AKIAX","secretAccessKey":"canary-key","externalId":"xy"`):      auth("externalId"),
		sigV4("a", `,"accessKeyId":"AKIAX","secretAccessKey":"canary-key","roleSessionName":"xy"`): auth("roleSessionName"),
		sigV4("a", `,"roleArn":"arn:aws:iam::12345678901:role/x"`):                                 auth("roleArn"), sigV4("a", `,"roleArn":"arn:aws:iam::123456789012:user/x"`): auth("roleArn"),
		sigV4("a", `,"roleArn":"arn:aws:iam::123456789012:role/"`): auth("roleArn"), sigV4("a", `,"roleArn":"arn:gcp:iam::123456789012:role/x"`): auth("roleArn"), sigV4("a", `,"roleArn":"role"`): auth("roleArn"),
		sigV4("a", `,"roleArn":"arn:aws:iam::123456789012:role/x\n"`): auth("roleArn"), sigV4("a", role+`,"roleSessionName":"x"`): auth("roleSessionName"), sigV4("a", role+`,"roleSessionName":"a b"`): auth("roleSessionName"),
		sigV4("a", role+`,"roleSessionName":"`+strings.Repeat("x", 65)+`"`): auth("roleSessionName"), sigV4("a", role+`,"externalId":"x"`): auth("externalId"), sigV4("a", role+`,"externalId":"a;b"`): auth("externalId"),
		sigV4("a", role+`,"externalId":"`+strings.Repeat("x", 1225)+`"`): auth("externalId"), sigV4("a", role+`,"signingName":"a b"`): auth("signingName"),
		strings.Replace(sigV4("a", role), "us-east-1\"", "US East\"", 1): auth("signingRegion"), strings.Replace(sigV4("a", role), `,"signingRegion":"us-east-1"`, "", 1): auth("signingRegion"),
		policy("{"): auth("sessionPolicy"), policy("[]"): auth("sessionPolicy"), policy("7"): auth("sessionPolicy"), policy("{}"): auth("sessionPolicy"), policy(`{"Statement":[{}],"x":"` + long + `"}`): auth("sessionPolicy"),
		policy(`{"Statement":[ ]}`): auth("sessionPolicy"), policy(`{"Statement":null}`): auth("sessionPolicy"), policy(`{"statement":[{}]}`): auth("sessionPolicy"), policy(`{"Statement":""}`): auth("sessionPolicy"),
		sigV4("a", role+`,"sessionPolicy":{}`): auth("sessionPolicy"), sigV4("a", role+`,"tokenUri":"https://x"`): auth("tokenUri"),

		oauth("a", `,"tokenUri":"http://169.254.169.254/"`): auth("tokenUri"), oauth("a", `,"tokenUri":"https://metadata.example/"`): auth("tokenUri"), oauth("a", `,"tokenUri":"x"`): auth("tokenUri"),
		oauth("a", `,"tokenUri":"https://x.example.com/?client_secret=canary-uri"`): auth("tokenUri"), oauth("a", `,"tokenUri":"https://x.example.com/?a=b"`): auth("tokenUri"), oauth("a", `,"tokenUri":"https://x.example.com/?"`): auth("tokenUri"),
		oauth("a", `,"tokenUri":"https://x.example.com/?a;client_secret=canary-uri"`): auth("tokenUri"), oauth("a", `,"scopes":["a b"]`): auth("scopes[0]"), oauth("a", `,"scopes":["a",null]`): auth("scopes[1]"),
		oauth("a", `,"scopes":"a"`): auth("scopes"), strings.Replace(oauth("a", ""), `"clientId":"c",`, "", 1): auth("clientId"), strings.Replace(oauth("a", ""), "ICEBERG_REST", "GENERIC_HTTP", 1): auth("tokenUri"),

		property("token", "canary-p"): "400 invalid properties.token", property("credential", "canary-p"): "400 invalid properties.credential", property("s3.secret-access-key", "canary-p"): "400 invalid properties.s3.secret-access-key",
		property("Password", "canary-p"): "400 invalid properties.Password", property("jdbc.password", "x"): "400 invalid properties.jdbc.password", property("s3.session-token", "x"): "400 invalid properties.s3.session-token",
		property("adls.sas-token.account", "x"): "400 invalid properties.adls.sas-token.account", property("header.Authorization", "x"): "400 invalid properties.header.Authorization",
		property("key", "-----BEGIN PRIVATE KEY-----"): "400 invalid properties.key", property("", "x"): "400 invalid properties.", property("a\n", "x"): "400 invalid properties.a?", property("a", long+long): "400 invalid properties.a",
		with(`"properties":{"a":1}`): "400 invalid properties.a", with(`"properties":{"a":null}`): "400 invalid properties.a", with(`"properties":[]`): "400 invalid properties",
		with(`"signHosts":["https://x"]`): "400 invalid signHosts[0]", with(`"signHosts":["x.example.com","*.com"]`): "400 invalid signHosts[1]", with(`"signHosts":["*"]`): "400 invalid signHosts[0]",
		with(`"signHosts":["[::1"]`): "400 invalid signHosts[0]", with(`"signHosts":["[::1]x"]`): "400 invalid signHosts[0]", with(`"signHosts":["[x.example.com]"]`): "400 invalid signHosts[0]",
		property("jdbc.url", "jdbc:postgresql://user:canary-p@db/x"): "400 invalid properties.jdbc.url", property("proxy", "http://:canary-p@x"): "400 invalid properties.proxy",
		with(`"signHosts":["a/b"]`): "400 invalid signHosts[0]", with(`"signHosts":["x.example.com:"]`): "400 invalid signHosts[0]", with(`"signHosts":["x.example.com:99999"]`): "400 invalid signHosts[0]",
		with(`"signHosts":["169.254.169.254"]`): "400 invalid signHosts[0]", with(`"signHosts":["a*.example.com"]`): "400 invalid signHosts[0]", with(`"signHosts":["*.*.example.com"]`): "400 invalid signHosts[0]", with(`"signHosts":"x"`): "400 invalid signHosts",

		polaris(``): "400 invalid catalog.type", polaris(`,"type":"INTERNAL"`): "400 invalid catalog.type", polaris(`,"type":"EXTERNAL","x":1`): "400 invalid catalog.x",
		strings.TrimSuffix(polaris(`,"type":"EXTERNAL"`), "}") + `,"x":1}`:  "400 invalid x",
		strings.Replace(polaris(`,"type":"EXTERNAL"`), "https:", "ftp:", 1): "400 invalid catalog.connectionConfigInfo.uri",
	} {
		answer := w.do("r", operator, "POST", "", body)
		if got := fault(answer); got != want {
			t.Errorf("%.300s: %s, want %s (%s)", body, got, want, answer.Body)
		}
		if strings.Contains(answer.Body.String(), "canary") {
			t.Errorf("%.300s: the answer repeats a secret: %s", body, answer.Body)
		}
		w.empty(body[:min(len(body), 100)])
		if strings.Contains(w.log.String(), "canary") {
			t.Errorf("%.300s: a secret is in the audit log", body)
		}
	}
}

// TestNamesSecret: keys that name a secret in whatever spelling, and those that only sound like it.
func TestNamesSecret(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		"bearerToken", "sessionToken", "privateKey", "accessToken", "apiToken", "accountKey", "sasToken", "sharedKey", "sasKey", "accessKey", "userPass", "dbPwd", "pass", "pwd", "auth", "bearer", "sig",
		"clientSecret", "client_secret", "CLIENT_SECRET", "secretAccessKey", "s3.secret-access-key", "apikey", "xApiKey", "X-Api-Key", "HTTPToken", "httpTOKEN", "token2", "accesstoken", "sigv4.token",
		"sigv4.secret-access-key", "sigv4-password", "adls.sas-token.account", "bearerTokens", "session-token-of-x", "jdbc.password", "header.Authorization", "Set-Cookie", "passphrase",
	} {
		if !namesSecret(key) {
			t.Errorf("%s is no secret", key)
		}
	}
	for fields := range secretFields {
		for _, key := range secretFields[fields] {
			if !namesSecret(key) {
				t.Errorf("%s is no secret", key)
			}
		}
	}
	for _, key := range []string{
		"default-base-location", "accessKeyId", "s3.access-key-id", "kmsKey", "kms-key-id", "sigv4.normalize-path", "sigv4.encode-path", "sigv4.session-token", "token-refresh-enabled", "oauth2-server-uri",
		"rest.auth.type", "client.region", "compass", "design", "passive", "tokenizer", "", ".",
	} {
		if namesSecret(key) {
			t.Errorf("%s is a secret", key)
		}
	}
	for value, want := range map[string]bool{
		"https://user:x@h/": true, "jdbc:postgresql://user:p@ss@h/": true, "https://:x@h": true, "abfss://container@account.dfs.core.windows.net/": false, "https://h:80/a@b": false, "s3://b/x": false, "https://h/?a=://b:c@d": true,
	} {
		if holdsSecret(value) != want {
			t.Errorf("%s: %v", value, !want)
		}
	}
}
