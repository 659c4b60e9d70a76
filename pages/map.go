package pages

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/playbooks"
	"github.com/egressplay/egressplay/shell"
	"github.com/egressplay/egressplay/steps"
)

// A memoryFile is a file that the page writes, as a text of the playbook.
type memoryFile struct {
	text string
	line int // its first line in the page, 0 where it is not one piece of it
}

// A mapper makes a playbook of a page.
type mapper struct {
	options    Options
	source     playbooks.Source
	page       *page
	name       string
	statements []*statement
	errs       playbooks.Errors
	notes      []Note
	counts     Counts
	requires   []string
	steps      []*yaml.Node

	values      map[string]string       // of variables whose value the page writes out
	set         map[string]int          // variables that have a value, and the line
	files       map[string]memoryFile   // that the page writes
	looked      map[string]string       // variables that stand for files with what the page looks up
	labels      []map[string]string     // of the pods that the page deploys
	policy      string                  // the outbound traffic policy that the page sets
	lastApply   string                  // the file of the last apply
	lastBypass  *bypass                 // the last kube-inject with ranges of addresses; nil for none
	deployments []deployment            // that the page has deployed by now
	ranges      string                  // of addresses that the page has confined all sidecars to; "" for none
	bypassed    []deployment            // of these, whose sidecars are confined to ranges of addresses
	builtin     bool                    // the label for injection has been put in
	requests    map[string]request      // for certificates, by their files
	issuers     map[string]issuer       // certificate authorities, by their files
	switched    map[int]*tab            // of tabs that undo each other, the ones that are run
	generated   map[string][]deployment // gateways that must be there, by the files that istioctl generates
	skipped     map[string]int          // variables that a statement would set which is not run, and its line
	session     *session                // the shell in a pod that is open; nil for none
	shell       *session                // the last one that was
	header      *yaml.Node              // what the page says as a playbook; nil for nothing
	saidMore    map[*fence]bool         // whose annotation has been put in
	addresses   map[string]bool         // variables with an address at which a gateway is reached from outside
	sent        map[string]string       // files that have been put into the pod outside of the mesh
	outside     bool                    // the pod outside of the mesh is there
	exposables  []exposable             // that the page has made
	namespace   string                  // that the page has chosen for what follows, as it writes it; "" for the run's
	cluster     map[string]string       // that the page has chosen, by its context and its kubeconfig
	releases    []string                // of Istio's charts, that helm would install
	cloned      []string                // folders that git clone would make
	folder      string                  // that cd has led to, as seen from the page's; "" for that one
	injects     map[string]bool         // namespaces for which it is known whether they have the label for injection
}

// fail notes a reason for which the page cannot become a playbook.
func (m *mapper) fail(at place, hint, format string, args ...any) {
	m.errs = append(m.errs, &playbooks.Error{File: m.source.File, Line: at.line, Column: at.column, Msg: fmt.Sprintf(format, args...), Hint: hint})
}

// note notes what a reader should know.
func (m *mapper) note(at place, skipped bool, format string, args ...any) {
	m.notes = append(m.notes, Note{m.source.File, at.line, at.column, fmt.Sprintf(format, args...), skipped})
}

// An unmappedError is why a statement cannot become a step, and where in the statement.
type unmappedError struct {
	line, column int // within the statement; 0 for its beginning
	msg, hint    string
}

func (e *unmappedError) Error() string { return e.msg }

func cannot(hint, format string, args ...any) error {
	return &unmappedError{msg: fmt.Sprintf(format, args...), hint: hint}
}

// playbook maps the page.
func (m *mapper) playbook() *yaml.Node {
	all, issues, unused := split(m.page)
	for _, u := range unused {
		m.note(place{u.line, u.column}, false, "what this shows is compared with nothing: %s", u.msg)
	}
	m.statements = all
	for name := range m.options.Set {
		m.set[name] = 1
	}
	m.switched = m.switches()
	notes := m.readAnnotations()
	if m.saidMore = map[*fence]bool{}; notes.header != nil {
		m.setHeader(notes.header)
	}
	m.renameOwn()
	entries, whole, file := m.overlay()
	notes.whole = notes.whole.merge(whole)
	tabName := m.options.Tab
	if tabName == "" {
		tabName = notes.whole.tab
	}
	m.checkTab(tabName)
	anchored := map[*statement][]*overlayEntry{}
	for _, e := range entries {
		if st := m.anchor(e, file); st != nil {
			anchored[st] = append(anchored[st], e)
		}
	}
	inSkipped := func(at int) bool {
		for f, s := range notes.fences {
			if s.skip != "" && f.at <= at && at <= f.end {
				return true
			}
		}
		return false
	}
	for _, i := range issues {
		if inSkipped(i.line) || m.notChosen(i.line, tabName) {
			continue
		}
		if m.options.SkipUnmapped {
			m.note(place{i.line, i.column}, true, "not run: %s", i.msg)
			continue
		}
		m.fail(place{i.line, i.column}, i.hint, "%s", i.msg)
	}
	m.readFences(notes)
	next := 0
	hidden := func(last int) { // steps in front of fences, and in them
		for ; next < len(m.page.fences) && m.page.fences[next].at <= last; next++ {
			if f := m.page.fences[next]; m.chosen(f.tab, tabName) {
				m.add(notes.hidden[f]...)
				m.add(m.stepsOf(f)...)
			}
		}
	}
	for _, st := range m.statements {
		if !m.chosen(st.fence.tab, tabName) {
			at, column := st.place(1, 1)
			if only, is := m.switched[st.fence.tab.set]; is && only == nil {
				m.note(place{at, column}, false, "not run: the tab %q and another one undo each other, and the page goes on with neither; --tab chooses", st.fence.tab.name)
				continue
			}
			m.note(place{at, column}, false, "not run: it is in the tab %q", st.fence.tab.name)
			continue
		}
		if st.fence.closed != "" {
			at, column := st.place(1, 1)
			m.note(place{at, column}, false, "not run: it is in the part %q, which a reader may leave closed", st.fence.closed)
			continue
		}
		m.boilerplate(st)
		hidden(st.fence.at)
		s := notes.fences[st.fence].merge(notes.whole)
		at, column := st.place(1, 1)
		var after []*yaml.Node
		for _, e := range anchored[st] {
			m.add(copyNodes(e.before, place{at, column})...)
			after = append(after, copyNodes(e.after, place{at, column})...)
			s = e.settings.merge(s)
		}
		m.statement(st, s)
		m.add(after...)
	}
	hidden(len(m.page.lines))
	m.add(notes.last...)
	if notes.header == nil {
		m.unshown()
		m.madeAnew()
	}
	m.unsaid(notes)
	return m.root()
}

// overlay reads the overlay.
func (m *mapper) overlay() (entries []*overlayEntry, whole settings, file string) {
	text, file := m.readOverlay()
	if text == "" {
		return nil, settings{}, ""
	}
	whole, entries = m.parseOverlay(text, file)
	return entries, whole, file
}

// checkTab refuses a tab that the page has not.
func (m *mapper) checkTab(name string) {
	if name == "" || m.options.Tab == "" && len(m.page.tabs) == 0 {
		return
	}
	var names []string
	for _, t := range m.page.tabs {
		if t.name == name {
			return
		}
		if !slices.Contains(names, fmt.Sprintf("%q", t.name)) {
			names = append(names, fmt.Sprintf("%q", t.name))
		}
	}
	hint := "the page has no tabs"
	if len(names) > 0 {
		hint = "its tabs are " + strings.Join(names, ", ")
	}
	m.fail(place{1, 1}, hint, "the page has no tab %q", name)
}

// chosen reports whether a tab is one that is run: the named one of each set that
// has it, of tabs that undo each other the one that the page goes on with, the first
// of the others.
func (m *mapper) chosen(t *tab, name string) bool {
	if t == nil {
		return true
	}
	for _, other := range m.page.tabs {
		if other.set == t.set && other.name == name {
			return t.name == name
		}
	}
	if only, is := m.switched[t.set]; is {
		return only != nil && only.name == t.name
	}
	return t.first
}

func (m *mapper) notChosen(line int, name string) bool {
	f := m.page.fenceAt(line)
	return f != nil && (!m.chosen(f.tab, name) || f.closed != "")
}

// statement maps one statement.
func (m *mapper) statement(st *statement, s settings) {
	line, column := st.place(1, 1)
	at := place{line, column}
	if st.file == nil && s.skip == "" {
		m.counts.Statements++
		return // told when it was split
	}
	switch {
	case s.skip != "":
		m.note(at, true, "not run, says its author: %s", s.skip)
		return
	case st.fence.noSnip && !m.meansPolicy(st):
		m.note(at, false, "not run: its author has marked it as no test (snip_id=none)")
		return
	}
	m.counts.Statements++
	if st.alias != "" {
		m.note(at, false, "%s is taken for kubectl", st.alias)
	}
	if s.exit == "" && s.more == nil && m.asksPolicy(st) {
		m.note(at, false, "not run: the page says that it may be either policy, which claims nothing")
		m.counts.Mapped++
		return
	}
	before := len(m.steps)
	var made []*yaml.Node
	st, err := m.inSession(m.untimed(m.oneRound(st)))
	done := false
	if err == nil && st != nil {
		st = m.lookedFiles(st)
		done, err = m.leftOver(st, at)
	}
	switch {
	case err != nil:
	case done:
		m.counts.Mapped++
		return
	case st == nil:
		m.counts.Mapped++
		return
	case st.blank != "" && !isInstallation(strings.TrimSpace(st.text())) && !isOfCloud(st):
		err = cannot("write it out", "what stands for %s is left to the reader", st.blank)
	default:
		made, err = m.whole(&st, s)
	}
	if err != nil {
		m.steps = m.steps[:before]
		at := at
		e, ok := errors.AsType[*unmappedError](err)
		if !ok {
			e = &unmappedError{msg: err.Error()}
		}
		if e.line > 0 {
			at.line, at.column = st.place(e.line, e.column)
		}
		if m.options.SkipUnmapped {
			m.note(at, true, "not run: %s", e.msg)
			m.skip(st, line)
			return
		}
		hint := e.hint
		if hint == "" {
			hint = unmapped
		}
		m.fail(at, hint, "%s", e.msg)
		return
	}
	if len(made) > 0 && !m.checkReads(st, made) {
		m.skip(st, line)
		return
	}
	m.counts.Mapped++
	m.failureInWords(st, s, made)
	if s.output != "exit" {
		m.verbLines(st, made)
	}
	for _, n := range made {
		m.apply(n, s)
		if s.more != nil {
			m.more(st.fence, n, s.more)
		}
		if m.page.cleansUp(st.lines[0].line) {
			n.Content = append(n.Content, place{n.Line, n.Column}.scalar("cleansUp"), place{n.Line, n.Column}.truth())
		}
	}
	m.add(made...)
}

// whole maps a statement as it is meant where it stands: in the namespace that the page
// has chosen, and from outside of the mesh. at is the statement that it was mapped as.
func (m *mapper) whole(at **statement, s settings) ([]*yaml.Node, error) {
	st, err := m.inOneCluster(*at)
	if err != nil {
		return nil, err
	}
	st, first, err := m.fromOutside(m.inNamespace(st))
	*at = st
	if err != nil {
		return nil, err
	}
	made, err := m.unit(st, s)
	if err != nil {
		if len(first) > 0 { // they are not run
			m.outside, m.sent = m.outside && key(first[0], "apply") == nil, map[string]string{}
		}
		return nil, err
	}
	return append(first, made...), nil
}

// skip notes the variables of a statement that is not run: what reads them is not run
// either, where the reader has chosen to skip. st may be nil.
func (m *mapper) skip(st *statement, line int) {
	if st == nil || !m.options.SkipUnmapped {
		return
	}
	for _, name := range assigned(st.file) {
		delete(m.set, name)
		m.skipped[name] = line
	}
}

// meansPolicy reports whether a statement that its author marks as no test sets
// the policy that the page goes on with.
func (m *mapper) meansPolicy(st *statement) bool {
	text := st.text()
	if !strings.Contains(text, "outboundTrafficPolicy.mode=REGISTRY_ONLY") {
		return false
	}
	t := m.page.textBefore(st.fence.at)
	return t == nil || !strings.HasPrefix(t.text, "If ")
}

// apply puts on a step what an annotation says. What a look shows keeps no later
// step from running: all in which page and world differ is told by one run.
func (m *mapper) apply(n *yaml.Node, s settings) {
	at := place{n.Line, n.Column}
	sets := false
	if text := key(n, "shell"); text != nil {
		sets = setsSomething(text.Value)
	}
	looks := key(n, "exec") != nil || key(n, "shell") != nil || key(n, "logs") != nil || key(key(n, "policy"), "expect") != nil
	if s.within != "" && (looks || key(n, "set") != nil || key(n, "wait") != nil) && key(n, "within") == nil {
		n.Content = append(n.Content, at.scalar("within"), at.scalar(s.within))
	}
	if s.holds != "" && looks {
		n.Content = append(n.Content, at.scalar("holds"), at.scalar(s.holds))
	}
	if looks && !sets && m.header == nil {
		n.Content = append(n.Content, at.scalar("continue"), at.truth())
	}
}

// setsSomething reports whether a script gives a variable a value that later steps
// may need.
func setsSomething(text string) bool {
	file, _, problem := shell.Parse(text)
	return problem == nil && len(assigned(file)) > 0
}

// mentions reports whether a variable stands in a step: what a step has no use for
// need not be set.
func mentions(nodes []*yaml.Node, name string) bool {
	return slices.ContainsFunc(nodes, func(n *yaml.Node) bool {
		return strings.Contains(n.Value, "$"+name) || strings.Contains(n.Value, "${"+name) || mentions(n.Content, name)
	})
}

// checkReads reports variables that a statement reads and that nothing has set.
func (m *mapper) checkReads(st *statement, made []*yaml.Node) bool {
	ok := true
	own := map[string]bool{}
	syntax.Walk(st.file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Assign:
			if n.Name != nil && n.Value != nil {
				own[n.Name.Value] = true
			}
		case *syntax.WordIter:
			own[n.Name.Value] = true
		case *syntax.ParamExp:
			if n.Param == nil || m.set[n.Param.Value] > 0 || own[n.Param.Value] || predefined[n.Param.Value] || !mentions(made, n.Param.Value) {
				return true
			}
			line, column := st.place(int(n.Pos().Line()), int(n.Pos().Col()))
			name := n.Param.Value
			if by := m.skipped[name]; by > 0 {
				m.note(place{line, column}, true, "not run: it reads %s, which line %d would set", name, by)
				ok = false
				return false
			}
			m.fail(place{line, column}, "give it by --set "+name+"=VALUE; a hidden step or the overlay can set it, too: set: {"+name+": VALUE}", "nothing on this page sets the variable %s", name)
			m.set[name] = line // told once
			ok = false
		}
		return true
	})
	return ok
}

var predefined = map[string]bool{"NAMESPACE": true, "ISTIO_NAMESPACE": true}

// unit maps the commands of one statement. Several that are joined by ; or && are
// steps of their own where the page shows nothing of them.
func (m *mapper) unit(st *statement, s settings) ([]*yaml.Node, error) {
	var all []*syntax.Stmt
	for _, stmt := range st.file.Stmts {
		all = append(all, flatten(stmt)...)
	}
	if len(all) == 0 {
		return nil, nil
	}
	if len(all) == 1 {
		return m.command(st, all[0], s)
	}
	if len(st.shown) == 0 && s.exit == "" {
		var made []*yaml.Node
		for _, stmt := range all {
			nodes, err := m.command(st, stmt, s)
			if err != nil {
				return nil, err
			}
			made = append(made, nodes...)
		}
		return made, nil
	}
	if nodes, err := m.changesAndLook(st, all, s); nodes != nil || err != nil {
		return nodes, err
	}
	// What changes or is not there cannot stand in a script; then each is a step,
	// and what is shown must be what the changes print.
	if nodes, err := m.script(st, s); err == nil {
		return nodes, nil
	} else if !onlyVerbLines(st.shown) {
		return nil, err
	}
	var made []*yaml.Node
	for _, stmt := range all {
		bare := *st
		bare.shown = nil
		nodes, err := m.command(&bare, stmt, s)
		if err != nil {
			return nil, err
		}
		made = append(made, nodes...)
	}
	return made, nil
}

// flatten returns the commands that && joins.
func flatten(stmt *syntax.Stmt) []*syntax.Stmt {
	if b, ok := stmt.Cmd.(*syntax.BinaryCmd); ok && b.Op == syntax.AndStmt && !stmt.Background && !stmt.Negated {
		return append(flatten(b.X), flatten(b.Y)...)
	}
	return []*syntax.Stmt{stmt}
}

var verbLine = regexp.MustCompile(`(?: created| configured| unchanged| deleted\.?| labeled| replaced| patched| annotated| scaled| restarted| not labeled| serverside-applied|created$)(?: from \S+ namespace)?$|^(?:deployment|service|pod|namespace|secret|configmap)[./"' ]|^Warning: |^Created config \S+ at|^Deleted config`)

// onlyVerbLines reports whether the page shows what a change prints: that is
// claimed by the step itself, which ends only when the change is made.
func onlyVerbLines(shown []line) bool {
	for _, l := range shown {
		if t := strings.TrimSpace(l.text); t != "" && t != "..." && !verbLine.MatchString(t) {
			return false
		}
	}
	return true
}

// stages returns the commands of a pipe.
func stages(stmt *syntax.Stmt) []*syntax.Stmt {
	if b, ok := stmt.Cmd.(*syntax.BinaryCmd); ok && b.Op == syntax.Pipe {
		return append(stages(b.X), stages(b.Y)...)
	}
	return []*syntax.Stmt{stmt}
}

// A command is one that is to be mapped.
type command struct {
	st       *statement
	stmt     *syntax.Stmt
	at       place
	stages   []*syntax.Stmt
	settings settings
	title    string
	lax      bool // what is deleted need not be there
}

// command maps one command: to native steps where nothing is lost, else to a
// script.
func (m *mapper) command(st *statement, stmt *syntax.Stmt, s settings) ([]*yaml.Node, error) {
	line, column := st.place(int(stmt.Pos().Line()), int(stmt.Pos().Col()))
	c := &command{st: st, stmt: stmt, at: place{line, column}, stages: stages(stmt), settings: s, title: m.title(st)}
	if orGatewayAPI(st, stmt) {
		return m.gatewayAPI(c)
	}
	if makesFolder(stmt) {
		return nil, nil
	}
	if m.orNothing(c) {
		stmt = c.stmt
	}
	nodes, handled, err := m.native(c)
	if handled || err != nil {
		return nodes, err
	}
	if len(flatten(stmt)) == 1 && len(st.file.Stmts) == 1 && len(flatten(st.file.Stmts[0])) == 1 {
		return m.script(st, s)
	}
	part := *st
	part.lines = cutLines(st, stmt)
	part.file = &syntax.File{Stmts: []*syntax.Stmt{stmt}}
	return m.script(&part, s)
}

// cutLines returns the lines of one command of a statement.
func cutLines(st *statement, stmt *syntax.Stmt) []line {
	from, to := stmt.Pos(), stmt.End()
	var all []line
	for i := from.Line(); i <= to.Line() && int(i) <= len(st.lines); i++ {
		l := st.lines[i-1]
		if i == to.Line() && int(to.Col())-1 <= len(l.text) {
			l.text = strings.TrimRight(l.text[:to.Col()-1], " ;")
		}
		if i == from.Line() {
			l.text, l.column = l.text[min(int(from.Col())-1, len(l.text)):], l.column+int(from.Col())-1
		}
		all = append(all, l)
	}
	return all
}

// script maps a statement to a step of the kind shell.
func (m *mapper) script(st *statement, s settings) ([]*yaml.Node, error) {
	if problems := steps.CheckScript(st.file); len(problems) > 0 {
		p := problems[0]
		line, column := p.Line, p.Column
		if len(st.lines) > 0 && st.file.Stmts[0].Pos().Line() > 1 {
			line, column = 0, 0
		}
		return nil, &unmappedError{line: line, column: column, msg: p.Msg, hint: p.Hint}
	}
	if err := m.checkSelectors(st.file); err != nil {
		return nil, err
	}
	line, column := st.place(1, 1)
	at := place{line, column}
	var text *yaml.Node
	if len(st.lines) == 1 {
		text = at.scalar(st.text())
	} else {
		text = block(st.text()+"\n", st.lines[0].line)
	}
	for _, name := range assigned(st.file) {
		m.set[name] = line
	}
	n := at.mapping("title", m.title(st), "shell", text)
	if e := m.shown(st, s); e != nil {
		n.Content = append(n.Content, at.scalar("expect"), place{e.Line, 1}.mapping("shown", e))
	}
	return []*yaml.Node{n}, nil
}

// assigned returns the variables that a script sets.
func assigned(file *syntax.File) (names []string) {
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Assign:
			if n.Name != nil && n.Value != nil {
				names = append(names, n.Name.Value)
			}
		case *syntax.WordIter:
			names = append(names, n.Name.Value)
		}
		return true
	})
	return names
}

// shown returns what is expected of a script; nil for nothing.
func (m *mapper) shown(st *statement, s settings) *yaml.Node {
	var texts []string
	first := 0
	for _, l := range st.shown {
		if first == 0 {
			first = l.line
		}
		texts = append(texts, l.text)
	}
	if s.exit != "" && s.exit != "0" && !strings.Contains(strings.Join(texts, "\n"), terminated) {
		texts = append(texts, terminated+s.exit)
	}
	if len(texts) == 0 {
		return nil
	}
	if first == 0 {
		first, _ = st.place(1, 1)
	}
	n := block(literal(strings.Join(texts, "\n"))+"\n", first)
	if s.output == "exit" {
		at := place{first, 1}
		return at.mapping("text", n, "output", "exit")
	}
	return n
}

const terminated = "command terminated with exit code "

// title returns the title of a statement's step: the sentence above it, or the
// heading.
func (m *mapper) title(st *statement) string {
	text := ""
	if t := m.page.textBefore(st.fence.at); t != nil && m.header != nil {
		return strings.TrimSuffix(strings.ReplaceAll(t.text, "${", "$"), ":")
	} else if t != nil && !strings.HasPrefix(t.text, "|") { // a table is no title
		text = t.text
	} else if h := m.page.headingBefore(st.fence.at); h != nil {
		text = h.text
	}
	// Within a fence, a line of prose above the statement is nearer.
	for _, l := range st.fence.lines {
		if l.line >= st.lines[0].line {
			break
		}
		if t := strings.TrimSpace(l.text); isNumbered(t) {
			text = numbered.ReplaceAllString(t, "")
		}
	}
	return cleanTitle(text, st.text())
}

// inLink matches a link of Markdown whose target only a site's generator can read.
var inLink = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)

func cleanTitle(text, command string) string {
	text = inLink.ReplaceAllString(text, "$1")
	if i := strings.IndexAny(text, ".:。："); i > 20 {
		if rest := text[i:]; strings.HasPrefix(rest, ". ") || strings.HasPrefix(rest, ": ") || len(rest) <= 3 {
			text = text[:i]
		}
	}
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ReplaceAll(text, "${", "$"))
	text = strings.TrimRight(strings.TrimSpace(text), ":.")
	if r := []rune(text); len(r) > 100 {
		text = string(r[:99]) + "…"
	}
	if text == "" {
		text, _, _ = strings.Cut(command, "\n")
		text = strings.ReplaceAll(text, "${", "$")
		if r := []rune(text); len(r) > 60 {
			text = string(r[:59]) + "…"
		}
	}
	return text
}

// add adds steps, and notes what they deploy and set.
func (m *mapper) add(nodes ...*yaml.Node) {
	for _, n := range nodes {
		m.steps = append(m.steps, n)
		m.learn(n)
	}
}

// root returns the playbook.
func (m *mapper) root() *yaml.Node {
	at := place{1, 1}
	title := ""
	for _, t := range m.page.prose {
		if t.level > 0 {
			title = t.text
			break
		}
	}
	for _, l := range m.page.lines[:min(len(m.page.lines), 20)] {
		if rest, ok := strings.CutPrefix(l, "title: "); ok && m.page.lines[0] == "---" {
			title = strings.Trim(rest, `"' `)
			break
		}
	}
	m.counts.Steps = len(m.steps)
	if len(m.steps) == 0 && len(m.errs) == 0 {
		m.fail(at, "commands stand in fences of code", "the page has no command that becomes a step")
	}
	root := at.mapping("apiVersion", "egressplay/v1", "kind", "Playbook", "name", m.name, "title", cleanTitle(title, m.name))
	if m.header != nil && title != "" {
		key(root, "title").Value = title
	}
	if len(m.requires) > 0 {
		root.Content = append(root.Content, at.scalar("requires"), at.texts(m.requires))
	}
	m.headed(root)
	if vars := m.setVars(at); len(vars.Content) > 0 && m.header == nil {
		root.Content = append(root.Content, at.scalar("vars"), vars)
	}
	root.Content = append(root.Content, at.scalar("steps"), at.list(m.steps...))
	return root
}

// require adds what the cluster must have.
func (m *mapper) require(name string) {
	if !slices.Contains(m.requires, name) {
		m.requires = append(m.requires, name)
		slices.Sort(m.requires)
	}
}
