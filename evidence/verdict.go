package evidence

import (
	"fmt"
	"strconv"
	"strings"
)

// An Outcome is how an expectation was judged.
type Outcome string

// The outcomes. A claim that cannot be judged does not pass. A claim that is not
// checked passes and is shown; with --strict it does not pass.
const (
	Held       Outcome = "held"
	NotHeld    Outcome = "not held"
	NotJudged  Outcome = "not judged"
	NotChecked Outcome = "not checked"
)

// A Verdict is how one claim of an expectation was judged.
type Verdict struct {
	// Key is the path in the playbook, such as "expect.log[1].status".
	Key string `json:"key"`
	// At is the place of the key.
	At Position `json:"at"`
	// What names what was looked at if Key alone does not show it; else "".
	What string `json:"what,omitempty"`
	// JSONPath is the path of the value that was looked at in a JSON text, "" for
	// anything else.
	JSONPath string  `json:"jsonPath,omitempty"`
	Outcome  Outcome `json:"outcome"`
	// Want and Got have the same syntax, so that Got can be pasted as Want. If the
	// claim was not judged, only Want is set.
	Want string `json:"want,omitempty"`
	Got  string `json:"got,omitempty"`
	// Why is the reason that the claim was not judged or not checked, or more about a
	// mismatch.
	Why string `json:"why,omitempty"`
	// Hint is what to do; "" if nothing useful can be said.
	Hint string `json:"hint,omitempty"`
	// Again reports whether another attempt may be judged.
	Again bool `json:"again,omitempty"`
	// Facts are the basis of the verdict, in words or as the witness wrote them.
	Facts []string `json:"facts,omitempty"`

	// Means is what a claim about shown output that does not hold comes to, as claims about
	// single commands; empty where nobody can tell.
	Means []Meaning `json:"-"`

	// Field is the path of YAML keys below the expectation, an item of a list
	// as its index in digits. Key and At are made from it when the expectation is
	// bound.
	Field []string `json:"-"`
}

// A Meaning is a claim about one command of a script, in the words of the other
// expectations: what a tutorial shows as "command terminated with exit code 35" is
// expect.exitCode with 35.
type Meaning struct {
	// Stage is the command's index in [Shell.Stages].
	Stage int
	// Key, Want and Got are those of a [Verdict].
	Key, Want, Got string
}

// A Position is a place in a playbook.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line"`   // from 1
	Column int    `json:"column"` // from 1
}

func (p Position) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Path returns fields as a path in a playbook: "log[1].status".
func Path(fields ...string) string {
	var b strings.Builder
	for i, f := range fields {
		if _, err := strconv.Atoi(f); err == nil {
			b.WriteString("[" + f + "]")
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(f)
	}
	return b.String()
}

// Subject returns what the verdict is about, for a reader.
func (v *Verdict) Subject() string {
	if v.What != "" {
		return v.What
	}
	return strings.TrimPrefix(v.Key, "expect.")
}

func (v *Verdict) String() string {
	switch v.Outcome {
	case NotHeld:
		text := fmt.Sprintf("%s: want %s, got %s", v.Subject(), v.Want, v.Got)
		if v.Why != "" {
			text += " (" + v.Why + ")"
		}
		return text
	case NotJudged, NotChecked:
		return fmt.Sprintf("%s: %s", v.Subject(), v.Why)
	}
	return fmt.Sprintf("%s: %s", v.Subject(), v.Want)
}

// Verdicts are the verdicts of one attempt.
type Verdicts []Verdict

// Of returns the verdicts with an outcome.
func (vs Verdicts) Of(o Outcome) Verdicts {
	var of Verdicts
	for _, v := range vs {
		if v.Outcome == o {
			of = append(of, v)
		}
	}
	return of
}

// Again reports whether everything that was not judged may be judged by
// another attempt.
func (vs Verdicts) Again() bool {
	for _, v := range vs.Of(NotJudged) {
		if !v.Again {
			return false
		}
	}
	return true
}

func (vs Verdicts) String() string {
	lines := make([]string, len(vs))
	for i := range vs {
		lines[i] = vs[i].String()
	}
	return strings.Join(lines, "\n")
}

// A Finding is a cause of a failure, or that none is known.
type Finding struct {
	// Code names the cause as in docs/explaining.md; "" if none is known.
	Code string `json:"code,omitempty"`
	// Cause says it in one sentence, in the cluster's own names.
	Cause string `json:"cause"`
	// Object is the object that decides, nil if the cause is a missing one.
	Object *Change `json:"object,omitempty"`
	// Field is the path of the field that decides.
	Field string `json:"field,omitempty"`
	// Next is a command that shows more, or fixes it.
	Next string `json:"next,omitempty"`
	// Facts are the basis of the finding.
	Facts []string `json:"facts,omitempty"`
	// Unknown reports whether no cause is known.
	Unknown bool `json:"unknown,omitempty"`
	// TookMS is how long the explanation took, in milliseconds.
	TookMS int64 `json:"tookMs,omitempty"`
}
