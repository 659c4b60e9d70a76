package shell

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// roundsOf returns to how many words a word of a loop expands, and whether that is
// known before the run: for a text that is written out, or one range such as {1..10}. A
// range is counted before it is expanded, because it may be large.
func roundsOf(w *syntax.Word) (int, bool) {
	if from, to, step, is := sequence(w); is {
		return max(0, (to-from)/step+1), true
	}
	text, ok := literal(w)
	if !ok {
		return 0, false
	}
	if inner, ok := strings.CutPrefix(text, "{"); ok && strings.HasSuffix(inner, "}") {
		from, to, isRange := strings.Cut(strings.TrimSuffix(inner, "}"), "..")
		a, errA := strconv.Atoi(from)
		b, errB := strconv.Atoi(to)
		if isRange && errA == nil && errB == nil {
			return max(a-b, b-a) + 1, true
		}
		return 0, false
	}
	return 1, !strings.ContainsAny(text, "{}")
}

// items returns the words of a loop that [Check] has accepted.
func items(words []*syntax.Word) (all []string, err error) {
	for _, w := range words {
		if from, to, step, is := sequence(w); is {
			for n := from; n <= to && step > 0 || n >= to && step < 0; n += step {
				all = append(all, strconv.Itoa(n))
			}
			continue
		}
		fields, err := expand.Fields(&expand.Config{}, w)
		if err != nil {
			return nil, err
		}
		all = append(all, fields...)
	}
	return all, nil
}

// sequence returns the numbers that a word stands for which is $(seq LAST), $(seq FIRST
// LAST) or $(seq FIRST STEP LAST), and whether it is one.
func sequence(w *syntax.Word) (from, to, step int, is bool) {
	if len(w.Parts) != 1 {
		return 0, 0, 0, false
	}
	sub, ok := w.Parts[0].(*syntax.CmdSubst)
	if !ok || len(sub.Stmts) != 1 || len(sub.Stmts[0].Redirs) > 0 {
		return 0, 0, 0, false
	}
	call, ok := sub.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Assigns) > 0 || len(call.Args) < 2 || len(call.Args) > 4 || call.Args[0].Lit() != "seq" {
		return 0, 0, 0, false
	}
	numbers := []int{1}
	for _, arg := range call.Args[1:] {
		text, known := literal(arg)
		n, err := strconv.Atoi(text)
		if !known || err != nil || n < -1e6 || n > 1e6 {
			return 0, 0, 0, false
		}
		numbers = append(numbers, n)
	}
	switch len(numbers) {
	case 2:
		return 1, numbers[1], 1, true
	case 3:
		return numbers[1], numbers[2], 1, true
	}
	return numbers[1], numbers[3], numbers[2], numbers[2] != 0
}
