package transcript_test

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/transcript"
)

func width(n int) func() int { return func() int { return n } }

func render(t *testing.T, events []runner.Event, o transcript.Options) string {
	t.Helper()
	var b bytes.Buffer
	out := transcript.New(&b, o)
	for _, e := range events {
		out.Send(e)
	}
	require.NoError(t, out.Close())
	return b.String()
}

func TestTerminal(t *testing.T) {
	for _, tt := range []struct {
		file   string
		events []runner.Event
		o      transcript.Options
	}{
		{"passed.txt", passedRun, transcript.Options{}},
		{"passed-color.ansi", passedRun, transcript.Options{Color: true, Width: width(100)}},
		{"passed-narrow.txt", passedRun, transcript.Options{Width: width(48)}},
		{"passed-verbose.txt", passedRun, transcript.Options{Verbose: true}},
		{"failed.txt", failedRun, transcript.Options{}},
		{"failed-color.ansi", failedRun, transcript.Options{Color: true, Width: width(100)}},
		{"failed-narrow.txt", failedRun, transcript.Options{Width: width(48)}},
		{"interrupted.txt", interruptedRun, transcript.Options{}},
		{"left.txt", leftRun, transcript.Options{}},
		{"kept.txt", keptRun, transcript.Options{}},
		{"hostile.txt", hostileRun, transcript.Options{}},
		{"slowest.txt", slowRun, transcript.Options{Slowest: 2}},
		{"flaky.txt", flakyRun, transcript.Options{}},
		{"whole-verbose.txt", wholeRun, transcript.Options{Verbose: true, Width: width(80)}},
		{"whole-quiet.txt", wholeRun, transcript.Options{Quiet: true}},
		{"part.txt", partRun, transcript.Options{}},
		{"clusters.txt", clustersRun, transcript.Options{Slowest: 2}},
		{"clusters-quiet.txt", clustersRun, transcript.Options{Quiet: true}},
		{"failed-verbose.txt", failedRun, transcript.Options{Verbose: true}},
		{"hostile-verbose.txt", hostileRun, transcript.Options{Verbose: true}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			golden(t, tt.file, []byte(render(t, tt.events, tt.o)))
		})
	}
}

func TestTerminalPlainHasNoControls(t *testing.T) {
	for name, events := range map[string][]runner.Event{"passed": passedRun, "failed": failedRun, "hostile": hostileRun} {
		for _, verbose := range []bool{false, true} {
			for _, r := range render(t, events, transcript.Options{Verbose: verbose}) {
				if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
					t.Errorf("%s: control character %U", name, r)
				}
			}
		}
	}
}

func TestTerminalColorIsTheSameText(t *testing.T) {
	for name, events := range map[string][]runner.Event{"passed": passedRun, "failed": failedRun, "left": leftRun} {
		plain := render(t, events, transcript.Options{Width: width(80)})
		color := render(t, events, transcript.Options{Width: width(80), Color: true})
		assert.NotEqual(t, plain, color, name)
		assert.Equal(t, plain, ansi.Strip(color), name)
	}
}

func TestTerminalKeepsToItsWidth(t *testing.T) {
	for name, events := range map[string][]runner.Event{
		"passed": passedRun, "failed": failedRun, "interrupted": interruptedRun, "left": leftRun, "kept": keptRun,
	} {
		for _, columns := range []int{32, 48, 80, 120} {
			for _, verbose := range []bool{false, true} {
				text := render(t, events, transcript.Options{Width: width(columns), Verbose: verbose})
				for line := range strings.Lines(text) {
					if partOfCommand(events, line) {
						continue // a word of a command stays whole
					}
					assert.LessOrEqual(t, ansi.StringWidth(line), columns, "%s in %d columns: %q", name, columns, line)
				}
			}
		}
	}
}

// partOfCommand reports whether a line is one of a command.
func partOfCommand(events []runner.Event, line string) bool {
	text := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "$ "), ` \`)
	return slices.ContainsFunc(events, func(e runner.Event) bool { return strings.Contains(e.Command, text) })
}

// A run that repeats its playbooks says how many there are, and how often they
// run; a step that did not pass stands at the end once.
func TestTerminalTellsRoundsFromPlaybooks(t *testing.T) {
	text := render(t, flakyRun, transcript.Options{})
	assert.Contains(t, text, "Runs the built-in playbook tls-origination.yaml 3 times in ")
	assert.Equal(t, 1, strings.Count(text, "tls-origination.yaml:52: "+request.Title), text)

	var several []runner.PlaybookInfo
	for round := range 2 {
		for _, name := range []string{"a", "b", "c"} {
			several = append(several, runner.PlaybookInfo{Name: name, File: name + ".yaml", Round: round + 1})
		}
	}
	text = render(t, []runner.Event{{Kind: runner.RunStarted, Target: &target, Playbooks: several}}, transcript.Options{})
	assert.Contains(t, text, "Runs 3 playbooks 2 times in ")
}

// A narrow terminal breaks a command so that a shell still reads it as one.
func TestTerminalWrapsCommands(t *testing.T) {
	text := render(t, passedRun, transcript.Options{Width: width(60)})
	joined := regexp.MustCompile(` \\\n +`).ReplaceAllString(text, " ")
	assert.NotContains(t, text, curl)
	assert.Contains(t, joined, "$ "+curl+"\n")
}

func TestTerminalShowsWhatItWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b buffer
		out := transcript.New(&b, transcript.Options{Interactive: true, Width: width(60)})
		shown := func() string {
			synctest.Wait()
			text := b.Take()
			return strings.TrimPrefix(text[max(0, strings.LastIndex(text, "\r")):], "\r\x1b[2K")
		}

		out.Wait("starting a lab: etcd")
		time.Sleep(1050 * time.Millisecond)
		assert.Equal(t, "  ⠏ starting a lab: etcd  1.0s", shown())
		out.Wait("starting a lab: kube-apiserver")
		time.Sleep(time.Second)
		assert.Contains(t, shown(), " starting a lab: kube-apiserver  2.0s")

		for _, e := range begin {
			out.Send(e)
		}
		out.Send(runner.Event{Kind: runner.StepStarted, Step: &request, Command: curl})
		shown()
		time.Sleep(1050 * time.Millisecond)
		assert.Contains(t, shown(), "4  An HTTP request is redirected to HTTPS  1.0s")
		out.Send(runner.Event{Kind: runner.Attempt, Step: &request, Attempts: 2, Problem: &runner.Problem{Text: "exitCode: want 0, got 35"}})
		time.Sleep(time.Second)
		line := shown()
		assert.Contains(t, line, "2.0s  try…")
		assert.LessOrEqual(t, ansi.StringWidth(line), 57, "a terminal writes ^C behind it, which must not wrap")

		out.Note("interrupted")
		assert.Equal(t, "\r\x1b[2Kinterrupted\n", b.Take())

		time.Sleep(time.Second)
		require.NoError(t, out.Close())
		text := b.Take()
		assert.True(t, strings.HasSuffix(text, "\r\x1b[2K"), "the line is gone at the end: %q", text)
		out.Note("late")
		time.Sleep(time.Second)
		assert.Empty(t, b.Take())
	})
}

// What remains on the screen when the lines that were erased are taken away is
// what a file would have got.
func TestTerminalInteractiveLeavesTheSameText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b buffer
		out := transcript.New(&b, transcript.Options{Interactive: true, Width: width(80)})
		for _, e := range failedRun {
			out.Send(e)
			time.Sleep(250 * time.Millisecond)
		}
		require.NoError(t, out.Close())
		text := b.Take()
		assert.Contains(t, text, "\x1b[2K")
		left := regexp.MustCompile(`(?m)^.*\r\x1b\[2K`).ReplaceAllString(text, "")
		assert.Equal(t, render(t, failedRun, transcript.Options{Width: width(80)}), left)
	})
}

func TestTerminalReportsTheFirstErrorOfWriting(t *testing.T) {
	full := errors.New("no space left on device")
	w := &failing{after: 1, err: full}
	out := transcript.New(w, transcript.Options{})
	for _, e := range passedRun {
		out.Send(e)
	}
	assert.ErrorIs(t, out.Close(), full)
	assert.Equal(t, 2, w.writes, "nothing is written after an error")
}

// A buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// Take returns what was written since the last call.
func (b *buffer) Take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.b.Reset()
	return b.b.String()
}

type failing struct {
	after, writes int
	err           error
}

func (f *failing) Write(b []byte) (int, error) {
	if f.writes++; f.writes > f.after {
		return 0, f.err
	}
	return len(b), nil
}

func BenchmarkTerminal(b *testing.B) {
	for b.Loop() {
		var w bytes.Buffer
		out := transcript.New(&w, transcript.Options{Color: true, Width: width(100)})
		for _, e := range passedRun {
			out.Send(e)
		}
	}
}
