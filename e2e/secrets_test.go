//go:build lab

package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Nothing of a Secret, of a key, of a password, a token or a cookie is in what
// egressplay writes, wherever a playbook has it; what is no secret is there.
func TestNoSecretIsWritten(t *testing.T) {
	withSample(t)
	inBase64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	create(t, "v1", "secrets", "default", fmt.Sprintf(`{kind: Secret, metadata: {name: there}, data: {a: %s, short: %s}}`, inBase64("planted-there"), inBase64("s7Zq")))
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("planted-in-a-file\n"), 0o600))

	exec := func(title, command string) string {
		return title + "\nexec: {in: deploy/sleep, container: sleep, namespace: sample, command: " + fmt.Sprintf("%q", command) + "}\ncontinue: true"
	}
	p := playbook(t,
		"Apply a Secret\napply: |\n  apiVersion: v1\n  kind: Secret\n  metadata: {name: made}\n  stringData: {a: planted-string, pin: '4-7x', token: '${TOKEN}'}\n  data: {b: "+inBase64("planted-data")+"}\n",
		"Apply it anew\napply: |\n  apiVersion: v1\n  kind: Secret\n  metadata: {name: made}\n  stringData: {a: planted-anew}\n",
		"Apply one that is refused\napply: |\n  apiVersion: v1\n  kind: Secret\n  metadata: {name: refused}\n  stringData: {a: 918273645, b: planted-refused}\n  data: {c: planted*no*base64}\ncontinue: true",
		"Apply one without a namespace\napply: |\n  apiVersion: v1\n  kind: Secret\n  metadata: {name: nowhere, namespace: nowhere}\n  stringData: {b: planted-nowhere}\ncontinue: true",
		"Read it\nset:\n  FROM_SECRET: {get: secret, name: there, jsonpath: '{.data.a}'}\n  SHORT: {get: secret, name: there, jsonpath: '{.data.short}'}\n  WHOLE: {get: secret/there, jsonpath: '{.data}'}\n  NAME: {get: secret/there}",
		"Wait for it\nwait: {object: secret/there, for: 'jsonpath={.data.a}=planted-wanted'}\nwithin: 1ms\ncontinue: true",
		"Patch it\npatch: {object: secret/there, merge: 'stringData: {a: planted-patch}'}",
		"Make certificates\ncertificates: {ROOT: {ca: true, commonName: root.example.com}}",
		"Keep the key\napply: |\n  apiVersion: v1\n  kind: Secret\n  metadata: {name: key}\n  stringData: {key: '${ROOT_KEY}'}\n",
		exec("Print them", `sh -c 'echo "$1" | base64 -d; printf "%s\n" "$@"' sh ${FROM_SECRET} ${SHORT} ${ROOT_KEY} ${TOKEN} ${FROM_FILE}`),
		exec("With a password", "curl -sS -u me:planted-password http://httpbin.org/anything"),
		exec("With a token", "curl -sS -v -H 'Authorization: Bearer planted-token' http://httpbin.org/anything?t=${TOKEN}"),
		exec("With a cookie", "curl -sS -i -b sid=planted-cookie http://httpbin.org/cookies"),
		exec("With a cookie of the server's", "curl -sS -i http://httpbin.org/response-headers?Set-Cookie=sid%3Dplanted-set"),
		exec("In a URL", "curl -sS http://me:planted-in-url@httpbin.org/anything"),
		exec("In a shell", "sh -xc 'curl -sS -u me:planted-in-shell http://httpbin.org/anything | cat'"),
		exec("With what is no secret", "curl -sS http://httpbin.org/anything?ordinary=value"),
		exec("That fails", "curl -sS -u me:planted-failing http://httpbin.org/status/500")+"\nexpect: {status: 200, body: {contains: '${TOKEN}'}}\nwithin: 1ms",
	)
	p.text = strings.Replace(p.text, "steps:\n", "vars: {TOKEN: none, FROM_FILE: none}\nsteps:\n", 1)
	for _, verbose := range []string{"--verbose=false", "--verbose=true"} {
		flag, read := reportFlag(t)
		e := egressplay(t, "run", p.file(), flag, verbose, "--set-secret", "TOKEN=planted-by-flag", "--set-secret", "FROM_FILE=@"+file)
		e.exits(t, 1)
		text, err := os.ReadFile(strings.TrimPrefix(flag, "--report=json="))
		require.NoError(t, err)
		for what, text := range map[string]string{"transcript": e.stdout, "stderr": e.stderr, "report": string(text)} {
			for line := range strings.Lines(text) {
				for _, secret := range []string{
					"planted", "918273645", "4-7x", "s7Zq", inBase64("s7Zq"),
					inBase64("planted-there"), inBase64("planted-data"), inBase64("planted-patch"),
					inBase64("me:planted-password"), inBase64("me:planted-in-url"), inBase64("me:planted-in-shell"), inBase64("me:planted-failing"),
				} {
					assert.NotContains(t, line, secret, what)
				}
			}
			assert.NotRegexp(t, `MIG[A-Za-z0-9+/]{20}`, text, "a private key in the %s", what)
		}
		r := read().only(t)
		assert.Equal(t, "failed", r.Status)
		for _, s := range r.Steps {
			want := "passed"
			switch s.Title {
			case "Apply one that is refused":
				want = "error"
			case "Apply one without a namespace", "Wait for it", "That fails":
				want = "failed"
			}
			assert.Equal(t, want, s.Status, "%s: %v %s", s.Title, s.Error, s.Output)
		}
		for _, ordinary := range []string{"NAME=there", "root.example.com", "ordinary", "FROM_SECRET=(secret)", "SHORT=(secret)"} {
			assert.Contains(t, e.stdout+string(text), ordinary)
		}
		assert.Contains(t, e.stdout, "http://httpbin.org/anything?ordinary=value")
		assert.Contains(t, e.stdout, "-u 'me:(secret)'")
	}
}
