package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// maxOutput is how much of a text is kept, in bytes.
const maxOutput = 1 << 20

// A Result is the result of a program.
type Result struct {
	Stdout, Stderr string
	// Last is what the program writes to its standard error once all its output is
	// written.
	Last      string
	Code      int
	Truncated bool // there was more output than was kept
}

// A Program runs with its words, the first of them its name, and the text on its
// standard input. An error means that the program has no result; it ends the script.
type Program func(ctx context.Context, argv []string, stdin string) (Result, error)

// A Stage is one command that a script ran.
type Stage struct {
	Argv []string
	Code int
	// Behind reports whether the command read the output of the previous stage.
	Behind bool
	// Inner reports whether the command ran within $(...).
	Inner  bool
	Stderr string
}

// An Output is the output of a script.
type Output struct {
	// Text is what a terminal would have shown, both streams in order.
	Text string
	// Stages are all commands, in the order in which they began.
	Stages    []Stage
	Truncated bool
}

// A Script runs scripts.
type Script struct {
	// Lookup returns the value of a variable.
	Lookup func(name string) (string, bool)
	// Set gives a variable a value.
	Set func(name, value string)
	// Programs are the programs besides [Tools].
	Programs map[string]Program

	out   Output
	inner int    // how deep in $(...)
	last  string // what programs write after the output that is not shown yet
}

// Run runs a script that [Check] has accepted.
func (s *Script) Run(ctx context.Context, file *syntax.File) (*Output, error) {
	for _, stmt := range file.Stmts {
		text, _, err := s.stmt(ctx, stmt, "", false)
		s.showAll(text)
		if err != nil {
			return &s.out, err
		}
	}
	return &s.out, nil
}

// showAll shows a text, and then what programs wrote last.
func (s *Script) showAll(text string) {
	s.show(text)
	s.show(s.last)
	s.last = ""
}

func (s *Script) show(text string) {
	if len(s.out.Text)+len(text) > maxOutput {
		text = text[:maxOutput-len(s.out.Text)]
		s.out.Truncated = true
	}
	s.out.Text += text
}

// stmt runs a statement and returns its standard output and its exit code.
func (s *Script) stmt(ctx context.Context, stmt *syntax.Stmt, stdin string, behind bool) (string, int, error) {
	if err := ctx.Err(); err != nil {
		return "", 0, context.Cause(ctx)
	}
	switch cmd := stmt.Cmd.(type) {
	case *syntax.CallExpr:
		return s.call(ctx, stmt, cmd, stdin, behind)
	case *syntax.DeclClause:
		return "", 0, s.assign(ctx, cmd.Args)
	case *syntax.BinaryCmd:
		text, code, err := s.stmt(ctx, cmd.X, stdin, behind)
		if err != nil {
			return text, code, err
		}
		if cmd.Op == syntax.Pipe {
			return s.stmt(ctx, cmd.Y, text, true)
		}
		if code != 0 {
			return text, code, nil
		}
		if s.inner == 0 {
			s.showAll(text)
			text = ""
		}
		second, code, err := s.stmt(ctx, cmd.Y, stdin, false)
		return text + second, code, err
	case *syntax.ForClause:
		return s.loop(ctx, cmd)
	}
	return "", 0, fmt.Errorf("this cannot run here: %T", stmt.Cmd)
}

func (s *Script) loop(ctx context.Context, f *syntax.ForClause) (string, int, error) {
	words, err := items(f.Loop.(*syntax.WordIter).Items)
	if err != nil {
		return "", 0, err
	}
	var all strings.Builder
	code := 0
	for i, word := range words {
		if i == MaxRounds {
			return "", 0, fmt.Errorf("the loop runs more than %d times", MaxRounds)
		}
		s.Set(f.Loop.(*syntax.WordIter).Name.Value, word)
		for _, stmt := range f.Do {
			text, c, err := s.stmt(ctx, stmt, "", false)
			if code = c; err != nil {
				return all.String(), code, err
			}
			if all.WriteString(text); all.Len() > maxOutput {
				return "", 0, errors.New("the loop wrote more than 1 MiB")
			}
		}
	}
	return all.String(), code, nil
}

// call runs a simple command.
func (s *Script) call(ctx context.Context, stmt *syntax.Stmt, call *syntax.CallExpr, stdin string, behind bool) (string, int, error) {
	if len(call.Args) == 0 {
		return "", 0, s.assign(ctx, call.Assigns)
	}
	argv, err := s.fields(ctx, call.Args)
	if err != nil {
		return "", 0, err
	}
	if len(argv) == 0 {
		return "", 0, errors.New("the command is empty")
	}
	for _, r := range stmt.Redirs {
		if r.Op == syntax.Hdoc || r.Op == syntax.DashHdoc {
			if stdin, err = expand.Document(s.config(ctx), r.Hdoc); err != nil {
				return "", 0, err
			}
		}
	}
	at := len(s.out.Stages)
	s.out.Stages = append(s.out.Stages, Stage{Argv: argv, Behind: behind, Inner: s.inner > 0})
	result, err := s.run(ctx, argv, stdin)
	s.out.Stages[at].Code, s.out.Stages[at].Stderr = result.Code, result.Stderr
	s.out.Truncated = s.out.Truncated || result.Truncated
	stdout, stderr := redirect(stmt.Redirs, result)
	s.show(stderr)
	_, last := redirect(stmt.Redirs, Result{Stderr: result.Last})
	s.last += last
	return stdout, result.Code, err
}

// redirect returns a program's two streams after its redirections.
func redirect(redirs []*syntax.Redirect, r Result) (stdout, stderr string) {
	to := [3]int{0, 1, 2} // where each stream goes; 0 is /dev/null
	for _, redir := range redirs {
		from := 1
		if redir.N != nil && redir.N.Value == "2" {
			from = 2
		}
		switch redir.Op {
		case syntax.DplOut:
			to[2] = to[1]
		case syntax.RdrAll, syntax.AppAll:
			to[1], to[2] = 0, 0
		case syntax.RdrOut, syntax.AppOut:
			to[from] = 0
		}
	}
	var out [3]string
	out[to[1]] += r.Stdout
	out[to[2]] += r.Stderr
	return out[1], out[2]
}

func (s *Script) run(ctx context.Context, argv []string, stdin string) (Result, error) {
	if program := s.Programs[argv[0]]; program != nil {
		return program(ctx, argv, stdin)
	}
	tool := Tools[argv[0]]
	if tool == nil {
		return Result{}, fmt.Errorf("%s is no program that is there", argv[0])
	}
	filter, err := tool(argv[1:])
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", argv[0], err)
	}
	stdout, stderr, code := filter(stdin)
	r := Result{Stdout: stdout, Stderr: stderr, Code: code}
	if len(r.Stdout) > maxOutput {
		r.Stdout, r.Truncated = r.Stdout[:maxOutput], true
	}
	return r, nil
}

// assign gives variables their values. A command without output gives no value, which
// is an error, as for a step that sets a variable.
func (s *Script) assign(ctx context.Context, assigns []*syntax.Assign) error {
	for _, a := range assigns {
		if a.Value == nil {
			continue
		}
		value, err := expand.Literal(s.config(ctx), a.Value)
		if err != nil {
			return err
		}
		if value == "" && hasCommand(a.Value) {
			return &EmptyError{Name: a.Name.Value}
		}
		s.Set(a.Name.Value, value)
	}
	return nil
}

// An EmptyError reports that the command for the value of a variable had no output.
type EmptyError struct{ Name string }

func (e *EmptyError) Error() string {
	return "the command that gives " + e.Name + " its value printed nothing"
}

func hasCommand(w *syntax.Word) (found bool) {
	syntax.Walk(w, func(n syntax.Node) bool {
		_, is := n.(*syntax.CmdSubst)
		found = found || is
		return true
	})
	return found
}

// Words expands words like those of a command.
func (s *Script) Words(ctx context.Context, words []*syntax.Word) ([]string, error) {
	return s.fields(ctx, words)
}

func (s *Script) fields(ctx context.Context, words []*syntax.Word) ([]string, error) {
	return expand.Fields(s.config(ctx), words...)
}

// config has no folder to read, so a pattern stays as it is written.
func (s *Script) config(ctx context.Context) *expand.Config {
	return &expand.Config{
		Env:     environ(s.Lookup),
		NoUnset: true,
		CmdSubst: func(w io.Writer, sub *syntax.CmdSubst) error {
			s.inner++
			defer func() { s.inner-- }()
			for _, stmt := range sub.Stmts {
				text, code, err := s.stmt(ctx, stmt, "", false)
				if err != nil {
					return err
				}
				if code != 0 {
					return &SubstError{Code: code, Command: strings.Join(s.out.Stages[len(s.out.Stages)-1].Argv, " ")}
				}
				if _, err := io.WriteString(w, text); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// A SubstError reports that a command within $(...) failed.
type SubstError struct {
	Code    int
	Command string
}

func (e *SubstError) Error() string {
	return fmt.Sprintf("%s, within $(...), ended with exit code %d", e.Command, e.Code)
}

// environ are the variables that the caller knows, and no others.
type environ func(name string) (string, bool)

func (e environ) Get(name string) expand.Variable {
	if name == "IFS" {
		return expand.Variable{Set: true, Kind: expand.String, Str: " \t\n"}
	}
	if value, set := e(name); set {
		return expand.Variable{Set: true, Kind: expand.String, Str: value}
	}
	return expand.Variable{}
}

func (environ) Each(func(string, expand.Variable) bool) {}
