package shell

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const sample = `kind: ConfigMap
data:
  outboundTrafficPolicy:
    mode: ALLOW_ANY
  Mode: other
a.b+c(d)|e
a,b,,d
HTTP/2 200
10
9
HTTP/2 200
HTTP/2 200
tab	and	more
last line without a feed`

// TestToolsAreGNUs runs each tool and the machine's own on the same text.
func TestToolsAreGNUs(t *testing.T) {
	for _, line := range [][]string{
		{"grep", "HTTP/"}, {"grep", "-i", "mode"}, {"grep", "-iA", "3", "outboundTrafficPolicy"}, {"grep", "-A1", "HTTP"},
		{"grep", "-B", "1", "mode"}, {"grep", "-C1", "mode:"}, {"grep", "-o", "HTTP/[0-9]* [0-9]*"}, {"grep", "-v", "HTTP"},
		{"grep", "-E", "^(HTTP|kind)"}, {"grep", "-c", "HTTP"}, {"grep", "-n", "HTTP"}, {"grep", "a.b+c(d)|e"}, {"grep", `HTTP\|kind`},
		{"grep", "-E", `b\+c`}, {"grep", "-F", "(d)|"}, {"grep", "nothing"}, {"grep", "-q", "HTTP"}, {"grep", "-e", "kind", "-e", "last"},
		{"grep", "-w", "Mode"}, {"grep", "[[:upper:]][[:lower:]]*Map"}, {"grep", "-o", "<title>.*</title>"}, {"grep", "-m", "1", "HTTP"},
		{"grep", "*"}, {"grep", `b\{1\}`}, {"grep", "a^b"}, {"grep", "$HOME"}, {"grep", "[]x]"}, {"grep", "-nA1", "HTTP"}, {"grep", "-E", "x{"},
		{"head", "-2"}, {"head", "-n", "3"}, {"head", "-n0"}, {"head"}, {"head", "-n", "100"},
		{"head", "-c", "5"}, {"head", "-c0"}, {"head", "-c", "9999"}, {"head", "--bytes=3"},
		{"tail", "-n", "+2"}, {"tail", "-n+0"}, {"tail", "-n", "+1"}, {"tail", "--lines=+99"},
		{"awk", "{print $1}"}, {"awk", "{ print $2, $1 }"}, {"awk", "{print $NF}"}, {"awk", "{print NF, NR}"}, {"awk", "NR==2"}, {"awk", "NR>1 {print $1}"},
		{"awk", "NR!=3 {print}"}, {"awk", "/HTTP/ {print $2;}"}, {"awk", "/^(a|k).*/"}, {"awk", "-F", ",", "{print $2}"}, {"awk", "-F:", `{print $1 "=" $2}`},
		{"awk", `{print "a\tb", $1"x"}`}, {"awk", "-F,", "{print NF}"},
		{"tr", "a-z", "A-Z"}, {"tr", "-d", `"\n`}, {"tr", " ", `\n`}, {"tr", "[:lower:]", "[:upper:]"}, {"tr", "abc", "x"}, {"tr", "-d", "a-c-"},
		{"tail", "-1"}, {"tail", "-n", "3"}, {"tail"}, {"tail", "-n0"}, {"tail", "-100"},
		{"cut", "-d,", "-f2"}, {"cut", "-d", ",", "-f", "1,3-"}, {"cut", "-f2"}, {"cut", "-c1-4"}, {"cut", "-d:", "-s", "-f2"},
		{"sort"}, {"sort", "-n"}, {"sort", "-r"}, {"sort", "-u"}, {"sort", "-nr"}, {"uniq"}, {"uniq", "-c"}, {"uniq", "-d"}, {"uniq", "-u"},
		{"wc", "-l"}, {"wc", "-w"}, {"wc"}, {"base64"}, {"base64", "-w0"}, {"cat"}, {"true"},
		{"sed", "s/mode: ALLOW_ANY/mode: REGISTRY_ONLY/g"}, {"sed", "s|HTTP/|X|"}, {"sed", `s/\(HTTP\).2/<\1&>/g`}, {"sed", "-E", "s/([0-9]+)$/n\\1/"},
		{"sed", "-e", "s/a/b/", "-e", "s/b/c/g"}, {"sed", "s/MODE/x/I"}, {"sed", `s/\//:/g`},
	} {
		t.Run(strings.Join(line, " "), func(t *testing.T) {
			filter, err := Tools[line[0]](line[1:])
			require.NoError(t, err)
			out, _, code := filter(sample)

			cmd := exec.Command(line[0], line[1:]...)
			cmd.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
			cmd.Stdin = strings.NewReader(sample)
			want, _ := cmd.Output()
			assert.Equal(t, string(want), out)
			assert.Equal(t, cmd.ProcessState.ExitCode(), code)
		})
	}
}

func TestDecodesBase64(t *testing.T) {
	filter, err := base64Tool([]string{"-d"})
	require.NoError(t, err)
	out, _, code := filter("aGVsbG8K\n")
	assert.Equal(t, "hello\n", out)
	assert.Zero(t, code)
	_, _, code = filter("!")
	assert.Equal(t, 1, code)
}

func TestJQ(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"-r", ".headers.Host"}, "httpbin.org\n", 0},
		{[]string{".headers"}, "{\n  \"Host\": \"httpbin.org\"\n}\n", 0},
		{[]string{"-e", ".none"}, "null\n", 1},
		{[]string{"env"}, "{}\n", 0},
		{[]string{"-c", ".list"}, "[1,2]\n", 0},
	} {
		filter, err := jqTool(test.args)
		require.NoError(t, err)
		out, _, code := filter(`{"headers": {"Host": "httpbin.org"}, "list": [1, 2]}`)
		assert.Equal(t, test.want, out)
		assert.Equal(t, test.code, code)
	}
}

func TestToolsRefuse(t *testing.T) {
	for _, line := range [][]string{
		{"grep", "x", "/etc/passwd"}, {"grep", "-r", "x"}, {"grep", `\(a\)\1`}, {"grep"}, {"cat", "/etc/passwd"}, {"head", "-c", "-1"}, {"head", "-c", "1", "f"}, {"tail", "-f"},
		{"tail", "-n", "+x"}, {"tail", "-c", "1"}, {"awk"}, {"awk", "{print $1}", "f"}, {"awk", "{print $1 > \"f\"}"}, {"awk", "{system($1)}"}, {"awk", "BEGIN {print 1}"},
		{"awk", "{print $1+1}"}, {"awk", "$1 == 2"}, {"awk", "{getline x}"}, {"awk", "{print $1} {print $2}"}, {"awk", "{print $1,}"}, {"awk", "/a/,/b/"}, {"awk", "-F", "ab", "{print}"}, {"awk", "-v", "a=b", "{print a}"},
		{"tr", "a"}, {"tr", "-s", "a"}, {"tr", "[a]", "b"}, {"tr", "z-a", "b"}, {"tr", "a", ""}, {"tr", "ä", "a"}, {"sed", "r /etc/passwd"}, {"sed", "s/a/b/e"}, {"sed", "-i", "s/a/b/"}, {"sed", "s/a/b/w x"}, {"sort", "-o", "x"},
		{"jq", ".", "file"}, {"jq", "--rawfile", "a", "b", "."}, {"jq", `import "a" as a; .`}, {"cut", "-f1", "file"}, {"uniq", "a", "b"}, {"base64", "f"}, {"wc", "f"},
	} {
		_, err := Tools[line[0]](line[1:])
		assert.Error(t, err, "%v", line)
	}
}
