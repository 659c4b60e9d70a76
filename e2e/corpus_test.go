//go:build lab

package e2e

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCorpusPages runs tutorials of other people, as they stand or with an overlay of
// hidden steps and of commands to leave out. Each passes, or fails at the lines in which
// the page itself is wrong. EGRESSPLAY_E2E_CORPUS=all runs those that take long, too; an
// id such as 035 runs that one.
func TestCorpusPages(t *testing.T) {
	once(t)
	folder := filepath.Join(cmp.Or(os.Getenv("EGRESSPLAY_SHARED"), filepath.Join("..", "..", "shared")), "corpus")
	if _, err := os.Stat(folder); err != nil {
		t.Skip("the pages are not here: EGRESSPLAY_SHARED names the folder with corpus/")
	}
	overlays, err := filepath.Abs(filepath.Join("..", "pages", "testdata", "corpus"))
	require.NoError(t, err)
	chosen := os.Getenv("EGRESSPLAY_E2E_CORPUS")
	for _, c := range []struct {
		id     string
		short  bool
		lines  []int  // at which the page is wrong
		shows  string // why
		passed int
	}{
		{id: "035", passed: 23},
		{id: "034", passed: 21},
		{id: "041", passed: 21},
		{id: "122", passed: 9, short: true},
		// kubectl takes gateway for a kind of the Gateway API, where that is installed.
		{id: "032", passed: 15, short: true, lines: []int{238}, shows: "what is there is gateway.networking.istio.io/istio-egressgateway"},
		{id: "080", passed: 11},
		// The log of a request by HTTP has no SNI; and gateway is another kind, as on 032.
		{id: "030", passed: 24, lines: []int{352, 416}, shows: "SNI: shown edition.cnn.com, was none"},
		// It shows a header that httpbin.org sent in 2019.
		{id: "079", passed: 22, lines: []int{102, 249}, shows: "\"Connection\": \"close\""},
		// The headers that it shows are those of Istio 1.19 to 1.22; the last object is none.
		{id: "110", passed: 23, lines: []int{82, 180, 273, 380, 542}, shows: "X-Envoy-External-Address"},
		// A request by HTTP that is blocked is answered with 502, and not reset.
		{id: "121", passed: 13, lines: []int{65}, shows: "HTTP/1.1 502 Bad Gateway"},
	} {
		t.Run(c.id, func(t *testing.T) {
			if chosen != "all" && chosen != c.id && (chosen != "" || !c.short) {
				t.Skip("EGRESSPLAY_E2E_CORPUS=all runs it")
			}
			found, err := filepath.Glob(filepath.Join(folder, c.id+"-*.md"))
			require.NoError(t, err)
			require.Len(t, found, 1)
			page, err := filepath.Abs(found[0])
			require.NoError(t, err)
			args := []string{"run", page, "--internet", filepath.Join(overlays, "internet.yaml")}
			if overlay := filepath.Join(overlays, c.id+".yaml"); isFile(overlay) {
				args = append(args, "--with", overlay)
			}
			e := begin(t, args...).waitFor(10 * time.Minute)
			summary := fmt.Sprintf("✓ %d steps passed", c.passed)
			if len(c.lines) > 0 {
				summary = fmt.Sprintf("✗ %d steps passed, %d failed", c.passed, len(c.lines))
			}
			e.exits(t, min(len(c.lines), 1))
			assert.Contains(t, e.stdout, summary)
			for _, line := range c.lines {
				assert.Contains(t, e.stdout, fmt.Sprintf("%s:%d,", filepath.Base(page), line))
			}
			assert.Contains(t, e.stdout, c.shows)
		})
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
