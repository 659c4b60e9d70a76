package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/shell"
	"github.com/egressplay/egressplay/variables"
)

// Shell runs a script as tutorials have it: kubectl, tools such as grep, pipes and
// variables. No program of this machine runs: kubectl is the functions of the
// other steps, the tools are those of package shell. A script looks and sets
// variables; what changes the cluster is a step of its own.
type Shell struct {
	Script Script `yaml:"script,scalar,required"`
}

var (
	_ runner.PodAction = (*Shell)(nil)
	_ Definer          = (*Shell)(nil)
	_ Reader           = (*Shell)(nil)
)

// A Script is the text of a script, checked. Its variables are a shell's own,
// $NAME: their values never become words or commands.
type Script struct {
	Text string

	file   *syntax.File
	values map[string]string // of the variables that it reads
}

// UnmarshalText parses and checks the script.
func (s *Script) UnmarshalText(text []byte) error {
	s.Text = string(text)
	file, _, problem := shell.Parse(s.Text)
	if problem != nil {
		return &runner.FieldError{Line: problem.Line, Err: errors.New(problem.Msg), Hint: problem.Hint}
	}
	s.file = file
	var errs []error
	for _, p := range CheckScript(file) {
		errs = append(errs, &runner.FieldError{Line: p.Line, Err: errors.New(p.Msg), Hint: p.Hint})
	}
	return errors.Join(errs...)
}

// CheckScript returns what in a script cannot run in a step of the kind shell.
func CheckScript(file *syntax.File) []shell.Problem {
	problems := shell.Check(file, func(name string) bool { return name == "kubectl" || name == "istioctl" })
	syntax.Walk(file, func(n syntax.Node) bool {
		call, _ := n.(*syntax.CallExpr)
		k, is, err := kubectlOf(call)
		if is && err == nil {
			err = checkLook(k)
		}
		if call != nil && len(call.Args) > 0 && call.Args[0].Lit() == "istioctl" {
			err = checkIstioctl(wordsOf(call))
		}
		if err != nil {
			problems = append(problems, shell.Problem{Line: int(call.Pos().Line()), Column: int(call.Pos().Col()), Msg: err.Error()})
		}
		return true
	})
	return problems
}

// kubectlOf returns the kubectl command that a call is, as it is written: a word that
// is known only at the run is no flag here and no command. call may be nil.
func kubectlOf(call *syntax.CallExpr) (k *shell.Kubectl, is bool, err error) {
	if call == nil || len(call.Args) == 0 || call.Args[0].Lit() != "kubectl" {
		return nil, false, nil
	}
	k, err = shell.ParseKubectl(wordsOf(call))
	return k, true, err
}

// wordsOf returns the words of a call, with x for what is known only at the run.
func wordsOf(call *syntax.CallExpr) []string { return wordsWith(call, "x") }

// varyingWordsOf returns the words of a call, with ${} for what is known only at the
// run, as in a text with a variable.
func varyingWordsOf(call *syntax.CallExpr) []string { return wordsWith(call, "${}") }

func wordsWith(call *syntax.CallExpr, unknown string) []string {
	words := make([]string, len(call.Args))
	for i, w := range call.Args {
		words[i] = sourceOf(w, unknown)
	}
	return words
}

// sourceOf returns a word without its quotes, with unknown in place of what is known
// only at the run.
func sourceOf(w *syntax.Word, unknown string) string {
	var b strings.Builder
	var walk func(parts []syntax.WordPart, quoted bool)
	walk = func(parts []syntax.WordPart, quoted bool) {
		for _, part := range parts {
			switch part := part.(type) {
			case *syntax.Lit:
				b.WriteString(shell.Unescape(part.Value, quoted))
			case *syntax.SglQuoted:
				b.WriteString(part.Value)
			case *syntax.DblQuoted:
				walk(part.Parts, true)
			default:
				b.WriteString(unknown)
			}
		}
	}
	walk(w.Parts, false)
	return b.String()
}

// ExpandVars looks up the variables that the script reads and has not set itself.
func (s *Script) ExpandVars(lookup runner.Lookup) error {
	s.values = map[string]string{}
	var errs []error
	reads, _ := variablesOf(s.file)
	for _, name := range reads {
		value, set := lookup(name)
		if !set {
			errs = append(errs, &variables.UndefinedError{Ref: variables.Ref{Name: name}})
		}
		s.values[name] = value
	}
	return errors.Join(errs...)
}

// variablesOf returns the variables that a script reads before it sets them, and
// those that it sets, both sorted.
func variablesOf(file *syntax.File) (reads, sets []string) {
	read, set := map[string]bool{}, map[string]bool{}
	var walk func(n syntax.Node)
	walk = func(n syntax.Node) {
		syntax.Walk(n, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.ParamExp:
				if !set[n.Param.Value] {
					read[n.Param.Value] = true
				}
			case *syntax.Assign:
				if n.Value != nil {
					walk(n.Value)
				}
				if n.Name != nil && n.Value != nil {
					set[n.Name.Value] = true
				}
				return false
			case *syntax.WordIter:
				set[n.Name.Value] = true
			}
			return true
		})
	}
	if file != nil {
		walk(file)
	}
	return slices.Sorted(maps.Keys(read)), slices.Sorted(maps.Keys(set))
}

// Defines implements [Definer].
func (s *Shell) Defines() []string {
	_, sets := variablesOf(s.Script.file)
	return sets
}

// Command implements [runner.Action]. A variable of the playbook that no step has
// set is set before the script.
func (s *Shell) Command(scope *runner.Scope) string {
	var set strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.Script.values)) {
		if value := s.Script.values[name]; value != "" && !variables.Stands(value) {
			if shown, _ := scope.Shown(name); shown == value {
				set.WriteString(name + "=" + quote(value) + "\n")
			}
		}
	}
	return scope.Secrets.Text(set.String() + strings.TrimRight(s.Script.Text, "\n"))
}

// Repeats implements [runner.Action].
func (s *Shell) Repeats() bool { return true }

// Pod implements [runner.PodAction]: it returns the pod of the first command that
// runs in one.
func (s *Shell) Pod(ctx context.Context, scope *runner.Scope) (*cluster.Pod, error) {
	var first *syntax.CallExpr
	syntax.Walk(s.Script.file, func(n syntax.Node) bool {
		call, _ := n.(*syntax.CallExpr)
		if k, is, err := kubectlOf(call); first == nil && is && err == nil && k.Verb == "exec" {
			first = call
		}
		return first == nil
	})
	if first == nil {
		return nil, nil
	}
	program := &kubectlProgram{scope: scope}
	script, _ := s.script(program)
	s.setOwn(script)
	words, err := script.Words(ctx, first.Args)
	if err != nil {
		return nil, err
	}
	k, err := shell.ParseKubectl(words)
	if err != nil {
		return nil, err
	}
	e, err := execOf(k)
	if err != nil {
		return nil, err
	}
	if strings.Contains(e.In.Name, unsetYet) {
		return nil, nil
	}
	if e.In.Name == "" {
		return nil, program.unnamed("kubectl exec", "pod")
	}
	return e.Pod(ctx, scope)
}

// unsetYet is the value of a variable that the script has yet to set.
const unsetYet = "\x00"

// setOwn gives the variables that the script sets itself a value before it runs: that of a
// loop its first word, if that is written out, and any other [unsetYet].
func (s *Shell) setOwn(script *shell.Script) {
	_, sets := variablesOf(s.Script.file)
	for _, name := range sets {
		if _, reads := s.Script.values[name]; !reads {
			script.Set(name, unsetYet)
		}
	}
	syntax.Walk(s.Script.file, func(n syntax.Node) bool {
		loop, ok := n.(*syntax.WordIter)
		if !ok || len(loop.Items) == 0 {
			return true
		}
		if words := wordsWith(&syntax.CallExpr{Args: loop.Items[:1]}, unsetYet); !strings.ContainsAny(words[0], "{}"+unsetYet) {
			script.Set(loop.Name.Value, words[0])
		}
		return true
	})
}

// script returns the script at work, and what it sets.
func (s *Shell) script(k *kubectlProgram) (*shell.Script, map[string]string) {
	set := map[string]string{}
	return &shell.Script{
		Lookup: func(name string) (string, bool) {
			if value, ok := set[name]; ok {
				return value, true
			}
			value, ok := s.Script.values[name]
			return value, ok
		},
		Set:      func(name, value string) { set[name] = value },
		Programs: map[string]shell.Program{"kubectl": k.run, "istioctl": (&istioctlProgram{k.scope}).run},
	}, set
}

// Try implements [runner.Action].
func (s *Shell) Try(ctx context.Context, scope *runner.Scope) (*evidence.Attempt, error) {
	k := &kubectlProgram{scope: scope}
	script, set := s.script(k)
	a := &evidence.Attempt{Started: time.Now()}
	out, err := script.Run(ctx, s.Script.file)
	a.Ended = time.Now()
	a.Text = out.Text
	if empty, ok := errors.AsType[*shell.EmptyError](err); ok {
		return a, runner.Retryable(empty)
	}
	if failed, ok := errors.AsType[*shell.SubstError](err); ok {
		return a, runner.Retryable(failed)
	}
	if err != nil {
		return a, err
	}
	a.Shell = &evidence.Shell{Text: out.Text, Truncated: out.Truncated, LastRequest: scope.LastCommand, Earlier: slices.Clone(scope.Outputs)}
	for _, stage := range out.Stages {
		e := evidence.Stage{Argv: stage.Argv, Code: stage.Code, Behind: stage.Behind, Inner: stage.Inner}
		if line, err := shell.ParseKubectl(stage.Argv); stage.Argv[0] == "kubectl" && err == nil {
			e.Exec, e.Log = line.Verb == "exec", line.Verb == "logs"
		}
		if (e.Exec || e.Log) && len(k.ran) > 0 {
			one := k.ran[0]
			e.Older, e.Undated, e.Pod, e.Request = one.read.older, one.read.undated, one.pod, one.request
			k.ran = k.ran[1:]
		}
		a.Shell.Stages = append(a.Shell.Stages, e)
	}
	for name, value := range set {
		scope.Set(name, value)
	}
	return a, nil
}

// execOf returns the step that kubectl exec is.
func execOf(k *shell.Kubectl) (*Exec, error) {
	switch {
	case len(k.Args) != 1:
		return nil, errors.New("kubectl exec: want one pod, got " + fmt.Sprint(len(k.Args)))
	case len(k.Command) == 0:
		return nil, errors.New("kubectl exec: there is no command")
	}
	return &Exec{In: Pod{Name: k.Args[0]}, Container: k.Flag("container"), Namespace: k.Namespace(), Argv: k.Command}, nil
}

// logsOf returns the step that kubectl logs is.
func logsOf(k *shell.Kubectl) (*Logs, error) {
	l := &Logs{Container: k.Flag("container"), Namespace: k.Namespace()}
	switch args := k.Args; {
	case k.Is("follow"), k.Is("previous"), k.Is("all-containers"), k.Is("prefix"), k.Is("timestamps"), k.Flag("since") != "":
		return nil, errors.New("kubectl logs: only -c, -l, -n and --tail are known here")
	case k.Flag("selector") != "" && len(args) == 0:
		l.In.Selector = k.Flag("selector")
	case len(args) == 2 && l.Container == "":
		l.In.Name, l.Container = args[0], args[1]
	case len(args) == 1:
		l.In.Name = args[0]
	default:
		return nil, errors.New("kubectl logs: want one pod")
	}
	if tail := cmp.Or(k.Flag("tail"), "-1"); tail != "-1" {
		if _, err := fmt.Sscan(tail, &l.Tail); err != nil || l.Tail < 1 {
			return nil, fmt.Errorf("kubectl logs: --tail takes a number of lines, not %q", tail)
		}
	}
	return l, nil
}
