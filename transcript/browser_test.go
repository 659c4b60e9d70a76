//go:build lab

package transcript_test

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/runner"
)

//go:embed testdata/look.js
var lookJS string

// browserTime is longer than Chromium takes on the busiest machine.
const browserTime = 5 * time.Minute

// A frame is a page in a window.
type frame struct {
	page  []byte
	width int
	dark  bool
}

// look is what a reader sees in a frame; see testdata/look.js.
type look struct {
	Width, ScrollWidth int
	Background         float64 // its light, from 0 to 1
	Text               string
	Sections           []string // of the steps
	Drawings           []struct {
		Visible             bool
		Step, Boxes, Arrows int
		Texts, Outside      []string
	}
	Fetched, Faint, Wide []string
}

// browser is a Chromium of this machine.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	require.Fail(t, "there is no Chromium to open the report with", "run `scripts/setup test` as root, or install the package chromium")
	return ""
}

// openPages shows pages in Chromium, and returns what a reader sees of each and what the
// console says. The pages are as they are, in frames of a page that looks at them.
func openPages(t *testing.T, frames ...frame) (looks []look, console []string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "egressplay-browser-")
	require.NoError(t, err)
	var around strings.Builder
	fmt.Fprintf(&around, `<!DOCTYPE html><meta charset="utf-8"><pre id="seen"></pre><script>%s</script>`, lookJS)
	for _, f := range frames {
		scheme := "light"
		if f.dark {
			scheme = "dark"
		}
		fmt.Fprintf(&around, `<iframe style="display: block; border: 0; width: %dpx; height: 800px; color-scheme: %s" srcdoc="%s"></iframe>`,
			f.width, scheme, html.EscapeString(string(f.page)))
	}
	page := filepath.Join(dir, "page.html")
	require.NoError(t, os.WriteFile(page, []byte(around.String()), 0o600))

	ctx, cancel := context.WithTimeoutCause(t.Context(), browserTime, fmt.Errorf("Chromium did not show the page within %v", browserTime))
	defer cancel()
	cmd := exec.CommandContext(ctx, browser(t), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions", "--hide-scrollbars",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run", "--no-default-browser-check",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--enable-logging=stderr", "--virtual-time-budget=10000", "--dump-dom", "file://"+page)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second // for what holds its output
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	t.Cleanup(func() { // a process may still write there that is about to end
		assert.Eventually(t, func() bool { return os.RemoveAll(dir) == nil }, time.Minute, 50*time.Millisecond)
	})
	require.NoError(t, errors.Join(err, context.Cause(ctx)), "%s", stderr.String())

	_, text, _ := strings.Cut(stdout.String(), `<pre id="seen">`)
	text, _, found := strings.Cut(text, "</pre>")
	require.True(t, found, "%s\n%s", stdout.String(), stderr.String())
	require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(text)), &looks), "%s\n%s", text, stderr.String())
	require.Len(t, looks, len(frames))
	for line := range strings.Lines(stderr.String()) {
		if strings.Contains(line, "CONSOLE") {
			console = append(console, strings.TrimSpace(line))
		}
	}
	return looks, console
}

// The page in a browser shows each step with its verdicts and the ways that were drawn, on
// a phone and on a screen, light and dark, without an error, a request or anything that is
// too wide or too faint to be read.
func TestHTMLInABrowser(t *testing.T) {
	var frames []frame
	runs := map[int][]runner.Event{}
	const hostile = 2 // of the pages
	for _, events := range [][]runner.Event{wholeRun, clustersRun, hostileRun, failedRun, nil} {
		page := in("html", events)
		for _, f := range []frame{{page, 360, false}, {page, 360, true}, {page, 1200, false}} {
			runs[len(frames)] = events
			frames = append(frames, f)
		}
	}
	looks, console := openPages(t, frames...)
	assert.Empty(t, console)
	for i, l := range looks {
		name := fmt.Sprintf("page %d, %d pixels, dark: %t", i/3, frames[i].width, frames[i].dark)
		assert.Equal(t, frames[i].width, l.Width, name)
		assert.LessOrEqual(t, l.ScrollWidth, l.Width, name)
		assert.Empty(t, l.Wide, name)
		assert.Empty(t, l.Faint, name)
		assert.Empty(t, l.Fetched, name)
		assert.Equal(t, frames[i].dark, l.Background < 0.5, name)
		seesDrawings(t, name, l)
		if i/3 != hostile { // whose texts are not shown as they are
			seesRun(t, name, l, runs[i])
		}
	}
	assert.Len(t, looks[0].Drawings, 4, "one for each request")
}

// seesRun compares what a reader sees with what the report in JSON says of the same run.
func seesRun(t *testing.T, name string, l look, events []runner.Event) {
	t.Helper()
	var report struct {
		Playbooks []struct {
			Title, Status string
			Steps         []struct {
				Index          int
				Title, Status  string
				Command, Error *string
				Verdicts       []struct {
					Key, Outcome, Want, Got, Why string
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(in("json", events), &report))
	sections := l.Sections
	for _, p := range report.Playbooks {
		assert.Contains(t, words(l.Text), words(p.Title), name)
		assert.Contains(t, l.Text, p.Status, name)
		for _, s := range p.Steps {
			require.NotEmpty(t, sections, "%s: no section for step %d", name, s.Index)
			text := words(sections[0])
			sections = sections[1:]
			assert.Contains(t, text, words(fmt.Sprintf("%d. %s", s.Index, s.Title)), name)
			assert.Contains(t, text, s.Status, name)
			if s.Command != nil {
				assert.Contains(t, text, "$ "+words(firstLine(*s.Command)), name)
			}
			for _, v := range s.Verdicts {
				subject := strings.TrimPrefix(v.Key, "expect.")
				switch v.Outcome {
				case "held":
					assert.Contains(t, text, "✓ "+subject+": "+words(v.Want), name)
				case "not held":
					assert.Contains(t, text, "✗ "+subject+": want "+words(v.Want)+", got "+words(v.Got), name)
				case "not checked":
					assert.Contains(t, text, "○ "+subject+" was not checked here: "+words(v.Why), name)
				default:
					assert.Contains(t, text, "! "+subject+" cannot be judged: "+words(v.Why), name)
				}
			}
		}
	}
	assert.Empty(t, sections, name)
}

func seesDrawings(t *testing.T, name string, l look) {
	t.Helper()
	for _, d := range l.Drawings {
		assert.True(t, d.Visible, name)
		assert.GreaterOrEqual(t, d.Boxes, 2, name)
		assert.Equal(t, d.Boxes-1, d.Arrows, name)
		assert.GreaterOrEqual(t, len(d.Texts), d.Boxes, name)
		assert.Empty(t, d.Outside, "%s: a text is outside of its box: %q", name, d.Outside)
		assert.GreaterOrEqual(t, d.Step, 0, "%s: a drawing belongs to a step", name)
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// words is a text with single blanks.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

// The look at a page notices what it looks for.
func TestTheBrowserNoticesWhatIsWrong(t *testing.T) {
	page := string(in("html", wholeRun))
	with := func(old, new string) frame {
		require.Contains(t, page, old)
		return frame{page: []byte(strings.Replace(page, old, new, 1)), width: 360}
	}
	const policy = `default-src 'none'; style-src 'unsafe-inline'`
	looks, console := openPages(t,
		with("<main>", `<main><p style="width: 500px">wide</p>`),
		with("--faint: #59636e", "--faint: #b0b8c0"),
		with("<main>", `<main><img src="http://127.0.0.1:9/x" alt=""/>`),
		frame{page: []byte(strings.Replace(strings.Replace(page, policy, "default-src *", 1), "<main>", `<main><img src="http://127.0.0.1:9/y" alt=""/>`, 1)), width: 360},
		with(`class="below" x="12"`, `class="below" x="300"`),
		with(`<section class="step">`, `<section class="step" hidden="">`),
	)
	assert.NotEmpty(t, looks[0].Wide)
	assert.Greater(t, looks[0].ScrollWidth, looks[0].Width)
	assert.NotEmpty(t, looks[1].Faint)
	assert.Contains(t, strings.Join(console, "\n"), "127.0.0.1:9/x", "what the policy forbids is told in the console")
	assert.Contains(t, looks[3].Fetched, "http://127.0.0.1:9/y")
	assert.NotEmpty(t, looks[4].Drawings[0].Outside)
	assert.NotContains(t, looks[5].Text, "Make a Secret")
}
