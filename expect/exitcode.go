package expect

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// ExitCode is the exit code that a command is to end with, or not to end with.
// YAML has the number itself, or {not: NUMBER}.
type ExitCode struct {
	Is  *int `yaml:"is,scalar"` // 0 to 255
	Not *int `yaml:"not"`       // 0 to 255
}

// Success expects exit code 0.
func Success() runner.Expectation { return &ExitCode{Is: new(int)} }

// Validate returns what is wrong with the expectation.
func (e *ExitCode) Validate() error {
	if (e.Is == nil) == (e.Not == nil) {
		return &runner.FieldError{Err: errors.New("an exit code is stated, or ruled out"), Hint: "write exitCode: 35, or exitCode: {not: 0}"}
	}
	for field, n := range map[string]*int{"is": e.Is, "not": e.Not} {
		if n != nil && (*n < 0 || *n > 255) {
			return &runner.FieldError{Field: []string{field}, Err: fmt.Errorf("exitCode must be 0-255, got %d", *n)}
		}
	}
	return nil
}

// Needs implements [runner.Expectation].
func (e *ExitCode) Needs() evidence.Needs { return evidence.Needs{} }

// Judge implements [runner.Expectation].
func (e *ExitCode) Judge(a *evidence.Attempt) evidence.Verdicts {
	if a.Command == nil || a.Command.ExitCode == nil {
		return unjudged(nil, false, "no exit code came", "")
	}
	got := *a.Command.ExitCode
	if e.Not != nil {
		if why := untried(a, got); why != "" {
			return unjudged(nil, false, why, "correct the command; where its own refusal is meant, state the exit code")
		}
		return evidence.Verdicts{judge(nil, got != *e.Not, fmt.Sprintf("{not: %d}", *e.Not), strconv.Itoa(got))}
	}
	return evidence.Verdicts{judge(nil, got == *e.Is, strconv.Itoa(*e.Is), strconv.Itoa(got))}
}

// untried says that curl refused what it was told to do, so that its failure says
// nothing of a connection or an answer; "" for any other end.
// Source: curl's man page, "EXIT CODES".
func untried(a *evidence.Attempt, code int) string {
	const unknownProtocol, badOption, badURL, notBuiltIn = 1, 2, 3, 4
	if a.Command.Curl == nil || !slices.Contains([]int{unknownProtocol, badOption, badURL, notBuiltIn}, code) {
		return ""
	}
	for _, t := range a.Transfers {
		if t.Local != "" {
			return ""
		}
	}
	return fmt.Sprintf("curl refused its options or its URL (exit code %d), so that nothing was tried", code)
}
