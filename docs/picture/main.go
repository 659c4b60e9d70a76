// Picture draws what a program printed to a terminal as an SVG with a window
// around it. The picture at the top of the README is one:
//
//	COLUMNS=100 egressplay run --color=always tls-origination.yaml |
//		go run ./docs/picture -command 'egressplay run tls-origination.yaml' > docs/transcript.svg
//
// COLUMNS sets the width at which it wraps.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	command := flag.String("command", "", "the command that printed it, shown as typed")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: picture [-command COMMAND] < ANSI > SVG")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		_, err = os.Stdout.WriteString(draw(*command, string(text)))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}
