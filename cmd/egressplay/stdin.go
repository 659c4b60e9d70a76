package main

import (
	"fmt"
	"io"
	"os"
)

// longestPlaybook is how many bytes of a playbook are read from stdin: one more than
// it may have.
const longestPlaybook = 1<<20 + 1

// readStdin returns the playbook that comes by stdin.
func readStdin() ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(os.Stdin, longestPlaybook))
	if err != nil {
		return nil, fmt.Errorf("read stdin: %w", err)
	}
	return data, nil
}
