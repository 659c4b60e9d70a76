package transcript

import (
	"fmt"
	"sync"
	"time"

	"github.com/charmbracelet/lipgloss"
)

// eraseLine empties the line on which the cursor is, and returns to its start
// (ECMA-48, "ERASE IN LINE").
const eraseLine = "\r\x1b[2K"

var frames = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// A wait is what the last line of an interactive terminal says.
type wait struct {
	text, note string
	since      time.Time
	frame      int
}

// Wait says on an interactive terminal what is being waited for, with the time
// since the first call, until anything else is written or text is "".
func (t *Terminal) Wait(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting.text == "" || text == "" {
		t.wait(text)
	}
	t.waiting.text = oneLine(text)
}

// wait begins to wait for something else.
func (t *Terminal) wait(text string) {
	t.waiting = wait{text: text, since: time.Now()}
}

// animate redraws the line until the function that it returns is called.
func (t *Terminal) animate() (stop func()) {
	ticker := time.NewTicker(100 * time.Millisecond)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ticker.C:
				t.draw()
			case <-quit:
				return
			}
		}
	}()
	return sync.OnceFunc(func() {
		ticker.Stop()
		close(quit)
		<-done
	})
}

func (t *Terminal) draw() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if b, ok := t.w.(interface{ Behind() bool }); ok && b.Behind() {
		return // nobody reads what there is already
	}
	if t.waiting.text == "" {
		t.write("")
		return
	}
	line := t.waiting.line(time.Now(), t.o.Width(), t.p)
	t.waiting.frame++
	t.write("")
	t.write(line)
	t.drawn = true
}

// line renders what is waited for. A long text gives way to the time, and the
// note to both.
func (w wait) line(now time.Time, width int, p palette) string {
	frame := frames[w.frame%len(frames)]
	elapsed := fmt.Sprintf("%.1fs", now.Sub(w.since).Truncate(100*time.Millisecond).Seconds())
	if d := now.Sub(w.since); d >= time.Minute {
		elapsed = took(d)
	}
	// Some columns stay free: a line that fills the last one may wrap, and would
	// then not be erased whole. A terminal writes ^C behind it.
	if width > 0 {
		width = max(width-len("^C"), 1)
	}
	text := " " + cut(w.text, width-len("  . "+elapsed)-3)
	tail := "  " + elapsed
	if w.note != "" {
		tail += "  " + w.note
	}
	tail = cut(tail, width-len("  .")-lipgloss.Width(text)-1)
	return "  " + p.accent.Render(frame) + text + p.faint.Render(tail)
}
