package redact

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"gopkg.in/yaml.v3"
)

const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgPlantedPlantedPl
antedPlanted0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP
sh0rT
-----END PRIVATE KEY-----
`

// A value is found in each form that a text may have.
func TestValueInEachForm(t *testing.T) {
	inYAML := func(value any) string {
		b, err := yaml.Marshal(value)
		assert.NoError(t, err)
		return string(b)
	}
	inJSON := func(value any) string {
		b, err := json.Marshal(value)
		assert.NoError(t, err)
		return string(b)
	}
	for _, value := range []string{
		"hunter2", "s3cr3t", "correct horse battery", `with "quotes" and \backslash`, "it's <b>&amp;", "tab\tinside", "grüße-geheim", key,
	} {
		r := New()
		r.Add(value)
		indented := "    " + strings.ReplaceAll(strings.TrimSpace(value), "\n", "\n    ")
		for form, text := range map[string]string{
			"raw":               "before " + value + " behind",
			"within a word":     "x" + value + "x",
			"go":                strconv.Quote(value),
			"go twice":          strconv.Quote(value + " " + value),
			"json":              inJSON(map[string]string{"a": value}),
			"yaml":              inYAML(map[string]string{"a": value}),
			"yaml block":        "a: |\n" + indented + "\n",
			"base64":            base64.StdEncoding.EncodeToString([]byte(value)),
			"base64, url":       base64.URLEncoding.EncodeToString([]byte(value)),
			"base64, unpadded":  base64.RawStdEncoding.EncodeToString([]byte(value)),
			"base64, with user": base64.StdEncoding.EncodeToString([]byte("user:" + value)),
			"base64, in text":   base64.StdEncoding.EncodeToString([]byte("ab" + value + "cd")),
			"base64, in text 2": base64.StdEncoding.EncodeToString([]byte("a" + value + "c")),
			"query":             "http://a/?q=" + url.QueryEscape(value),
			"path":              "http://a/" + url.PathEscape(value),
			"shell":             "'" + strings.ReplaceAll(value, "'", `'\''`) + "'",
		} {
			got := r.Text(text)
			assert.Contains(t, got, Mark, "%s: %s", form, text)
			for line := range strings.Lines(value) {
				line = strings.TrimSpace(line)
				if strings.HasPrefix(line, "-----") {
					continue
				}
				assert.NotContains(t, got, line, form)
			}
			if form == "base64" {
				assert.Equal(t, Mark, got, "the whole token goes")
			}
			assert.Equal(t, got, r.Text(got), "%s: once more changes nothing", form)
		}
	}
}

func TestCutValue(t *testing.T) {
	r := New()
	r.Add("planted-secret-value", key)
	assert.Equal(t, `got "token=(secret)…"`, r.Text(`got "token=planted-secr…"`))
	assert.NotContains(t, r.Text("key: MIGHAgEAMBMGByqGSM49AgEG…"), "MIGH")
	assert.Equal(t, "a plan… to go", r.Text("a plan… to go")[:0]+"a plan… to go")
}

func TestShortValues(t *testing.T) {
	r := New()
	r.Add("true", "443", "admin", "abc12", "default", "")
	text := "true 443 admin abc12 default"
	assert.Equal(t, text, r.Text(text), "values of a Secret that are short or ordinary words")
	r.AddWord("abc12", "1", "12", "true")
	assert.Equal(t, "true 443 (secret) xabc12 abc123 '(secret)' abc12-(secret) 1 12", strings.ReplaceAll(r.Text("true 443 abc12 xabc12 abc123 'abc12' abc12-abc12 1 12"), "(secret)-(secret)", "abc12-(secret)"))
	r.AddGiven("admin")
	assert.Equal(t, "(secret) administrator", r.Text("admin administrator"), "called a secret by the user")
	r.Add("", " \n")
	assert.Equal(t, "a b", r.Text("a b"))
}

func TestPlaces(t *testing.T) {
	r := New()
	for text, want := range map[string]string{
		"Authorization: Bearer abc":                                                 "Authorization: (secret)",
		"> authorization: Basic abc==\r\n> Host: a":                                 "> authorization: (secret)\r\n> Host: a",
		"< Set-Cookie: sid=1; Path=/\n< x: y":                                       "< Set-Cookie: (secret)\n< x: y",
		"X-Api-Key: k1\nx":                                                          "X-Api-Key: (secret)\nx",
		`{"x-vault-token":["k1"]}`:                                                  `{"x-vault-token":["(secret)"]}`,
		"Proxy-Authorization: Basic abc\nx":                                         "Proxy-Authorization: (secret)\nx",
		`curl -H 'Authorization: Bearer abc' http://a/`:                             `curl -H 'Authorization: (secret)' http://a/`,
		`curl -H 'Cookie: a=it'\''s b' http://a/`:                                   `curl -H 'Cookie: (secret)' http://a/`,
		`curl -H "Cookie: a=b" -H "X: y"`:                                           `curl -H "Cookie: (secret)" -H "X: y"`,
		`{"Authorization": "Basic abc", "Host": "a"}`:                               `{"Authorization": "(secret)", "Host": "a"}`,
		`{"Cookie":["a=\"b\"","c"],"Host":["a"]}`:                                   `{"Cookie":["(secret)"],"Host":["a"]}`,
		"{\"Cookie\": [\n  \"a\",\n  \"b\"\n ], \"Host\": \"a\"}":                   "{\"Cookie\": [\n  \"(secret)\"\n ], \"Host\": \"a\"}",
		`{\"Authorization\": \"Basic abc\", \"Host\": \"a\"}`:                       `{\"Authorization\": \"(secret)\", \"Host\": \"a\"}`,
		`"GET /\r\nAuthorization: Basic abc\r\nHost: a"`:                            `"GET /\r\nAuthorization: (secret)\r\nHost: a"`,
		`map[Authorization:[Bearer abc] Host:[a]]`:                                  `map[Authorization:[(secret)] Host:[a]]`,
		"http://user:pa-ss@host/x?y":                                                "http://user:(secret)@host/x?y",
		"postgres://u:p@ss@db:5432/x":                                               "postgres://u:(secret)@db:5432/x",
		"+ curl -u me:abc http://a:80/":                                             "+ curl -u me:(secret) http://a:80/",
		"user = \"me:abc\"\nurl = \"http://a\"":                                     "user = \"me:(secret)\"\nurl = \"http://a\"",
		"wget --user=a --password=b --http-password 'c' d":                          "wget --user=a --password=(secret) --http-password '(secret)' d",
		"curl -sku 'me:a b' --proxy-user p:q":                                       "curl -sku 'me:(secret) b' --proxy-user p:(secret)",
		`curl -H 'Cookie: "a=b" c' d`:                                               `curl -H 'Cookie: (secret)' d`,
		`Set-Cookie: "a"; b=c`:                                                      `Set-Cookie: (secret)`,
		"authorization: \"Bearer abc\"\nx: y":                                       "authorization: (secret)\nx: y",
		"{\"authorization\":null,\"a\":1}":                                          "{\"authorization\":null,\"a\":1}",
		"- name: Authorization\n  value: Basic abc\n- name: x\n  value: y":          "- name: Authorization\n  value: (secret)\n- name: x\n  value: y",
		`{"key": "Authorization", "value": "Basic abc"}`:                            `{"key": "Authorization", "value": (secret)}`,
		`{name: cookie, value: a=b}`:                                                `{name: cookie, value: (secret)}`,
		"# Netscape HTTP Cookie File\n#HttpOnly_a.b\tFALSE\t/\tTRUE\t0\tsid\tabc\n": "# Netscape HTTP Cookie File\n#HttpOnly_a.b\tFALSE\t/\tTRUE\t0\tsid\t(secret)\n",
		"* Added cookie sid=\"abc\" for domain a.b":                                 "* Added cookie sid=\"(secret)\" for domain a.b",
		// Texts that look similar and are not headers.
		"Authorization: (secret)":                             "Authorization: (secret)",
		"kind: AuthorizationPolicy\nmetadata: {name: cookie}": "kind: AuthorizationPolicy\nmetadata: {name: cookie}",
		"cookie:\n  regex: abc":                               "cookie:\n  regex: abc",
		"cookie: {regex: abc}":                                "cookie: {regex: abc}",
		"X-Authorization-Mode: none":                          "X-Authorization-Mode: none",
		"httpCookie: {name: user}":                            "httpCookie: {name: user}",
		"http://host:8080/a@b and user@host":                  "http://host:8080/a@b and user@host",
		"docker run -u 1000:1000 x":                           "docker run -u 1000:1000 x",
		"curl -sI https://edition.cnn.com:443/":               "curl -sI https://edition.cnn.com:443/",
		"2026-11-28T20:00:00 outbound|443||cnn.com":           "2026-11-28T20:00:00 outbound|443||cnn.com",
		"authorization.k8s.io/v1: the server is not up":       "authorization.k8s.io/v1: the server is not up",
		"date -u; echo a:b":                                   "date -u; echo a:b",
	} {
		got := r.Text(text)
		assert.Equal(t, want, got)
		assert.Equal(t, got, r.Text(got), "once more changes nothing")
	}
}

func TestArgv(t *testing.T) {
	r := New()
	got := r.Argv([]string{"curl", "-u", "me:hunter22", "-H", "Authorization: Bearer tok-en-1", "-b", "sid=cook-ie-1; b=2", "http://u:url%20pass@h/"})
	assert.Equal(t, "curl -u me:(secret) -H Authorization: (secret) -b (secret) http://u:(secret)@h/", strings.Join(got, " "))
	for _, said := range []string{"hunter22", "tok-en-1", "cook-ie-1", "url pass", base64.StdEncoding.EncodeToString([]byte("me:hunter22"))} {
		assert.NotContains(t, r.Text("the server says "+said), said)
	}
	assert.Equal(t, []string{"curl", "-u", "a:(secret)"}, r.Argv([]string{"curl", "-u", "a:1"}))
	for _, argv := range [][]string{{"wget", "--http-password", "qwertz-1"}, {"any", "-u", "me:qwertz-2"}, {"any", "-H", "Authorization: qwertz-3"}} {
		assert.NotContains(t, strings.Join(r.Argv(argv), " "), "qwertz", "a word that is secret by the option in front of it")
	}
	assert.Equal(t, []string{"any", "-v", "me"}, r.Argv([]string{"any", "-v", "me"}))
	r.Argv([]string{"curl", "-u", "me:pass"})
	assert.Equal(t, "it got Basic (secret)", r.Text("it got Basic "+base64.StdEncoding.EncodeToString([]byte("me:pass"))), "also of a short password")
	script := r.Argv([]string{"sh", "-c", "curl -u a:1 -H 'Cookie: x=y' b | head"})
	assert.Equal(t, "curl -u a:(secret) -H 'Cookie: (secret)' b | head", script[2])
	var none *Redactor
	assert.Equal(t, []string{"curl", "-u", "a:(secret)"}, none.Argv([]string{"curl", "-u", "a:b"}))
}

func TestOrdinaryTextsAreUntouched(t *testing.T) {
	r := New()
	r.Add("hunter2", key, "planted-value")
	text := fmt.Sprintf("GET /politics HTTP/2\n%s\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", strings.Repeat("x", 100))
	assert.Equal(t, text, r.Text(text))
}

func BenchmarkText(b *testing.B) {
	r := New()
	r.Add(key, "hunter2", "planted-value")
	text := strings.Repeat("a line of some output, as a pod writes it: {\"a\": 1}\n", 64<<10/52)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		r.Text(text)
	}
}

func FuzzText(f *testing.F) {
	f.Add(`{"Authorization": "Basic abc"}`)
	f.Add("Cookie: a\nhttp://u:p@h")
	f.Fuzz(func(t *testing.T, text string) {
		r := New()
		r.Add("hunter2")
		r.AddWord("abcd")
		got := r.Text(text)
		if strings.Contains(got, "hunter2") {
			t.Fatalf("%q became %q", text, got)
		}
	})
}
