package pages

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A look that fails by the page's words alone is noted, and claims that it succeeds.
func TestFailureInWords(t *testing.T) {
	page := func(before, fence, behind string) string {
		return deploySleep + before + "\n\n" + fence + "\n\n" + behind + "\n"
	}
	const look = "~~~sh\nkubectl exec deploy/sleep -c sleep -- curl -s https://www.google.com\n~~~"
	for _, said := range []string{
		"This request should fail.", "It will now be blocked.", "The command must not succeed.", "You see exit code 35.",
		"The connection is refused, for nothing knows the host.", "이 요청은 실패합니다.",
	} {
		for _, text := range []string{page(said, look, ""), page("Look:", look, said)} {
			steps, errs, notes := lint(t, text, Options{})
			require.Empty(t, errs, said)
			assert.NotContains(t, steps[len(steps)-1], "expect", said)
			assert.Contains(t, strings.Join(notes, "\n"), "but words are not read: if the command fails, write its exit code", said)
		}
	}
	const shows = "~~~sh\n$ kubectl exec deploy/sleep -c sleep -- curl -s https://www.google.com\ncommand terminated with exit code 35\n~~~"
	for _, text := range []string{
		page("Make a request:", look, "It succeeds."),
		page("If it does not work, read the log.", "~~~sh\nkubectl apply -f samples/curl.yaml\n~~~", "This should fail."),
		page("This should fail.", shows, ""),
		page("This should fail.", "<!-- egressplay: exit=35 -->\n"+look, ""),
		page("Look:", look, "## Next\n\nThis should fail."),
	} {
		_, errs, notes := lint(t, text, Options{})
		require.Empty(t, errs)
		assert.NotContains(t, strings.Join(notes, "\n"), "words are not read", text)
	}
}
