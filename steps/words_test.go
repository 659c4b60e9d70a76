package steps

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWords(t *testing.T) {
	for _, c := range []struct {
		text string
		want Words
	}{
		{`curl -sI https://www.baidu.com`, Words{"curl", "-sI", "https://www.baidu.com"}},
		{`  curl  -s ` + "\n", Words{"curl", "-s"}},
		{`curl -w '%{http_code}\n' "a b"`, Words{"curl", "-w", `%{http_code}\n`, "a b"}},
		{`curl -H "X: \"q\"" a\ b`, Words{"curl", "-H", `X: "q"`, "a b"}},
		{"curl \\\n  -s", Words{"curl", "-s"}},
		{`curl '' ""`, Words{"curl", "", ""}},
		{`curl ${URL}/x "${A} b" '${C}'`, Words{"curl", "${URL}/x", "${A} b", "${C}"}},
		{`echo $HOME $1 $$ a$`, Words{"echo", "$HOME", "$1", "$$", "a$"}},
		{`echo \${NAME} "\${NAME}"`, Words{"echo", "$${NAME}", "$${NAME}"}},
		{`echo \$NAME`, Words{"echo", "$NAME"}},
		{`env HTTPS_PROXY=a:1 curl x`, Words{"env", "HTTPS_PROXY=a:1", "curl", "x"}},
		{`sh -c 'curl -s a | grep b > /dev/null; exit 3'`, Words{"sh", "-c", "curl -s a | grep b > /dev/null; exit 3"}},
		{`curl {a,b} *.txt ~`, Words{"curl", "{a,b}", "*.txt", "~"}},
		{`curl -s a#b`, Words{"curl", "-s", "a#b"}},
	} {
		t.Run(c.text, func(t *testing.T) {
			var w Words
			require.NoError(t, w.UnmarshalText([]byte(c.text)))
			assert.Equal(t, c.want, w)
		})
	}
}

func TestWordsRefusesWhatOnlyAShellCanDo(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{``, "the command is empty"},
		{`# nothing`, "the command is empty"},
		{`curl a | grep b`, "no shell runs the command, so it can have no pipe, redirection or second command"},
		{`curl a > /dev/null`, "no shell runs the command, so it can have no pipe, redirection or second command"},
		{`curl a; curl b`, "no shell runs the command, so it can have no pipe, redirection or second command"},
		{`curl a && curl b`, "no shell runs the command, so it can have no pipe, redirection or second command"},
		{`curl a &`, "no shell runs the command, so it can have no pipe, redirection or second command"},
		{`! curl a`, "no shell runs the command, so it can have no pipe, redirection or second command"},
		{`if true; then curl; fi`, "no shell runs the command, so it can have no pipe, redirection or second command"},
		{`A=b curl`, "no shell runs the command, so A= sets no variable"},
		{`curl $(hostname)`, "no shell runs the command, so $(hostname) means nothing"},
		{"curl `hostname`", "no shell runs the command, so `hostname` means nothing"},
		{`curl $((1+1))`, "no shell runs the command, so $((1+1)) means nothing"},
		{`curl 'a`, "reached EOF without closing quote `'`"},
	} {
		t.Run(c.text, func(t *testing.T) {
			var w Words
			assert.EqualError(t, w.UnmarshalText([]byte(c.text)), c.want)
		})
	}
}

func TestWordsPrintAsACommandLine(t *testing.T) {
	w := Words{"sh", "-c", `echo "it's $x"`, ""}
	var again Words
	require.NoError(t, again.UnmarshalText([]byte(w.String())))
	assert.Equal(t, w, again)
}
