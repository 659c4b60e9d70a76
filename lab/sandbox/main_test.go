package sandbox

import (
	"os"
	"testing"
)

// insideArgument makes the test binary the first process of a sandbox.
const insideArgument = "first-process"

// inside is what the test binary runs there; it returns the exit code.
var inside func(what string) int

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == insideArgument {
		os.Exit(inside(os.Args[2]))
	}
	os.Exit(m.Run())
}
