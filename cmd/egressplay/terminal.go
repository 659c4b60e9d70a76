package main

import (
	"os"
	"strconv"

	"github.com/muesli/termenv"
	"golang.org/x/term"

	"github.com/egressplay/egressplay/transcript"
)

// terminalOptions returns how to write to a file, as --color and the
// environment want it (https://no-color.org).
func terminalOptions(color string, f *os.File) (transcript.Options, error) {
	var o transcript.Options
	fd := int(f.Fd())
	isTerminal := term.IsTerminal(fd) && os.Getenv("TERM") != "dumb"
	if isTerminal {
		// Older consoles of Windows take escape sequences only when asked to;
		// the mode is theirs and stays.
		if _, err := termenv.EnableVirtualTerminalProcessing(termenv.NewOutput(f)); err != nil {
			isTerminal = false
		}
	}
	switch color {
	case "auto":
		o.Color = isTerminal && os.Getenv("NO_COLOR") == ""
	case "always":
		o.Color = true
	case "never":
	default:
		return o, usagef("there are auto, always and never", "unknown --color %q", color)
	}
	o.Interactive = isTerminal
	o.Width = func() int {
		if width, _, err := term.GetSize(fd); err == nil {
			return width
		}
		columns, _ := strconv.Atoi(os.Getenv("COLUMNS")) // 0 where it says nothing
		return max(columns, 0)
	}
	return o, nil
}
