package curltest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/curl"
	"github.com/egressplay/egressplay/curl/curltest"
)

// The answer is read as the transfers that it was made of.
func TestAnAnswerIsReadBack(t *testing.T) {
	command, ok := curl.Parse([]string{"curl", "-si", "http://a/", "http://b/"})
	require.True(t, ok)
	out := command.Output(1 << 20)
	fmt.Fprint(out, curltest.Answer(command.Argv,
		curl.Transfer{
			URL: "http://a/", Status: 200, Proto: "HTTP/1.1", Scheme: "http", Connects: 1,
			LocalAddr: "10.0.0.1:40000", RemoteAddr: "10.0.0.2:80",
			Heads: []curl.Head{{Proto: "HTTP/1.1", Status: 200, Fields: []curl.Field{{Name: "Server", Value: "x"}}}}, Body: "a body\n",
		},
		curl.Transfer{URL: "http://b/", ExitCode: 7, Error: "refused"},
	))
	transfers, err := out.Transfers()
	require.NoError(t, err)
	require.Len(t, transfers, 2)
	a, b := transfers[0], transfers[1]
	assert.Equal(t, "10.0.0.1:40000", a.LocalAddr)
	assert.Equal(t, "a body\n", a.Body)
	assert.Equal(t, "x", a.Heads[0].Header().Get("Server"))
	assert.Equal(t, 7, b.ExitCode)
	assert.Equal(t, "refused", b.Error)
	assert.Empty(t, b.LocalAddr)
	assert.Equal(t, 1, b.Number)
}

// What is played and what curl itself writes have the same form.
func TestTheRealCurlAnswersAlike(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("this machine has no curl")
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a body") }))
	defer s.Close()
	command, _ := curl.Parse([]string{"curl", "-s", s.URL + "/"})
	real, err := exec.CommandContext(t.Context(), command.Argv[0], command.Argv[1:]...).Output()
	require.NoError(t, err)
	out := command.Output(1 << 20)
	fmt.Fprint(out, string(real))
	transfers, err := out.Transfers()
	require.NoError(t, err)
	require.Len(t, transfers, 1)

	// Some versions of curl write the scheme in capitals.
	numbers := regexp.MustCompile(`[0-9]+(\.[0-9]+)?`)
	form := func(text string) string { return strings.ToLower(numbers.ReplaceAllString(text, "0")) }
	assert.Equal(t, form(string(real)), form(curltest.Answer(command.Argv, transfers...)))
}
