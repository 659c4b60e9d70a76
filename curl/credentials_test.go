package curl

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCredentials(t *testing.T) {
	secretHeader := func(name string) bool {
		return slices.Contains([]string{"authorization", "cookie"}, strings.ToLower(name))
	}
	for _, tt := range []struct {
		argv []string
		want string // the command line with <KIND:VALUE> for each credential
	}{
		{[]string{"curl", "-s", "-u", "me:pa:ss", "http://a/"}, "curl -s -u me:<0> http://a/"},
		{[]string{"curl", "-sume:pass", "http://a/"}, "curl -sume:<0> http://a/"},
		{[]string{"curl", "--user=me:pass"}, "curl --user=me:<0>"},
		{[]string{"curl", "-u", "me", "a"}, "curl -u me a"},
		{[]string{"curl", "-U", "me:pass", "-x", "p:q@proxy:3128", "a"}, "curl -U me:<0> -x p:<0>@proxy:3128 a"},
		{[]string{"curl", "-H", "authorization: Bearer t", "-H", "Host: a", "a"}, "curl -H authorization: <1> -H Host: a a"},
		{[]string{"curl", "-HCookie:a=b", "a"}, "curl -HCookie:<2> a"},
		{[]string{"curl", "-b", "a=b; c=d", "-b", "jar.txt", "a"}, "curl -b <2> -b jar.txt a"},
		{[]string{"curl", "--oauth2-bearer", "t", "--pass", "p", "-E", "c.pem:q", "a"}, "curl --oauth2-bearer <0> --pass <0> -E c.pem:<0> a"},
		{[]string{"curl", "-E", "c.pem", "https://h/a:b@c"}, "curl -E c.pem https://h/a:b@c"},
		{[]string{"curl", "https://u:p@ss@h:1/x"}, "curl https://u:<0>@h:1/x"},
		{[]string{"curl", "--", "https://u:p@h"}, "curl -- https://u:<0>@h"},
		{[]string{"env", "HTTPS_PROXY=u:p@h:1", "curl", "-u", "a:b", "c"}, "env HTTPS_PROXY=u:<0>@h:1 curl -u a:<0> c"},
		{[]string{"timeout", "5", "curl", "-u", "a:b", "c"}, "timeout 5 curl -u a:<0> c"},
		{[]string{"sh", "-c", "curl -u 'a:b c' d | head; https_proxy=http://u:p@h curl -H 'Authorization: x' e"}, "sh -c curl -u 'a:<0>' d | head; https_proxy=http://u:<0>@h curl -H 'Authorization: <1>' e"},
		{[]string{"sh", "-c", `curl -H "Authorization: Bearer $T" a`}, `sh -c curl -H "Authorization: <1>" a`},
		{[]string{"env", "A=b", "T=x y", "sh", "-c", `curl -H "Authorization: Bearer $T" a`}, `env A=b T=<0> sh -c curl -H "Authorization: <1>" a`},
		{[]string{"cat", "-u", "a:b"}, "cat -u a:b"},
		{[]string{"curl", "--no-such", "-u", "a:b"}, "curl --no-such -u a:b"},
	} {
		words := slices.Clone(tt.argv)
		found := Credentials(words, secretHeader)
		slices.SortStableFunc(found, func(a, b Credential) int { return b.Start - a.Start })
		for _, c := range found {
			w := words[c.Word]
			words[c.Word] = w[:c.Start] + "<" + string('0'+rune(c.Kind)) + ">" + w[c.End:]
		}
		assert.Equal(t, tt.want, strings.Join(words, " "))
	}
}
