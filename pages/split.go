package pages

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/expect"
	"github.com/egressplay/egressplay/nearest"
	"github.com/egressplay/egressplay/shell"
)

// A statement is a command of a page, or several on one line, with what the page
// shows of it.
type statement struct {
	fence *fence
	lines []line // without prompts
	file  *syntax.File
	shown []line // what the page shows, from the first line to the last
	// blank is a part that the reader is to fill in, such as <NAME>; "" for none.
	blank string
	// prompt says that the page marks it as a command.
	prompt bool
	// inShell says that its prompt is one of a shell in a pod.
	inShell bool
	// pod is where the page types it, as a prompt says; "" for the host.
	pod string
	// alias is the name by which the page calls kubectl; "" for its own.
	alias string
}

func (s *statement) text() string {
	texts := make([]string, len(s.lines))
	for i := range s.lines {
		texts[i] = s.lines[i].text
	}
	return strings.Join(texts, "\n")
}

// place returns where a place of the statement is in the page. column is a byte's.
func (s *statement) place(at, column int) (int, int) {
	at = max(1, min(at, len(s.lines)))
	l := s.lines[at-1]
	column = max(1, min(column, len(l.text)+1))
	return l.line, l.column + len([]rune(l.text[:column-1]))
}

// An issue is something about a place of the page.
type issue struct {
	line, column int
	msg, hint    string
}

// shellPrompt is the prompt of a shell in a pod.
var shellPrompt = regexp.MustCompile(`^\s*(?:(?:~|/[\w./-]*) ?[#$] |(?:sh|bash|ash)-\d[\d.]*[#$] ?)`)

// prompts are what stands in front of a command, where it is not the command's own
// text.
var prompts = []*regexp.Regexp{
	regexp.MustCompile(`^\s*\$ +`),
	regexp.MustCompile(`^\s*\[[\w.-]+@[\w.-]+ [^\]]*\][#$] ?`),
	regexp.MustCompile(`^\s*[\w.-]+@[\w.-]+:[^\s]*[#$] ?`),
	regexp.MustCompile(`^\s*[\w.-]+@[\w.-]+ \S+ % `),
	regexp.MustCompile(`^\s*[\w~/.-]+ % `),
	regexp.MustCompile(`^\s*➜ +\S+ +`),
	shellPrompt,
	regexp.MustCompile(`^\s*> \$ `),
	regexp.MustCompile(`^(?:\s*|.*\s)[λ❯] +`),
	regexp.MustCompile(`^\s*[\w/.~-]+ [\x{e0b0}>] `),
}

// asRoot is the prompt of root, which looks like a comment.
var asRoot = regexp.MustCompile(`^\s*# +`)

// numbered is a number of a list, in front of a sentence or a command.
var numbered = regexp.MustCompile(`^\s*\d+[.)、]\s*`)

// heads are programs that a page may call, so that a line which begins with one is
// a command.
var heads = map[string]bool{}

func init() {
	for _, name := range strings.Fields(`kubectl istioctl curl export cat echo sleep openssl helm gcloud az ibmcloud minikube kind docker git cd mkdir rm
		vi vim nano wget tar source unset set for while watch oc k3d eksctl aws ssh sudo apt apt-get yum brew make bash sh chmod cp mv ls touch tee grep jq yq
		sed awk envsubst kustomize calicoctl cilium linkerd kumactl meshctl glooctl terraform ansible pip python go fortio siege hey ab nslookup dig ping
		telnet nc openshift-install docker-compose podman crictl tctl siege bazel unzip time test alias function while if popd pushd read printf
		kyma step mkcert siege killall pkill kill ps env which whoami pwd clear history exit ip iptables tcpdump kubens kubectx crc`) {
		heads[name] = true
	}
}

// strong are heads of lines that are commands also where others have a prompt.
var strong = regexp.MustCompile(`^\s*(?:kubectl (?:[a-z]+|-n \S+ [a-z]+)\b|istioctl [a-z]|export [A-Za-z_]+=|curl -|cat ?<<|for [a-z]+ in |wget (?:-|https?:)|tar -?x|git clone \S|helm (?:repo|install|upgrade|template|uninstall) |rm -|sleep \d+$|echo "?\$[A-Z{(]|openssl (?:req|x509) -|(?:head|tail|wc|cut|base64) -[A-Za-z0-9-])`)

// makesFile matches a command that begins with the file into which it writes.
var makesFile = regexp.MustCompile(`^> ?[\w./-]+ *(?:&&.*)?$`)

var assignment = regexp.MustCompile(`^\s*[A-Z_][A-Z0-9_]*=(?:\S*[^,\s]|".*"|'.*'|\$\(.*\)|\$\(.*\) *;.*)?$`)

// shellTags are the tags of fences that have commands.
var shellTags = map[string]bool{
	"bash": true, "sh": true, "shell": true, "console": true, "zsh": true, "terminal": true, "shell-session": true, "shellsession": true, "bask": true,
	"azurecli": true, "azurecli-interactive": true, "azure-cli": true, "cmd": true, "ksh": true, "bash session": true,
}

// outputTags are those of fences that show what a command printed.
var outputTags = map[string]bool{"": true, "plain": true, "plaintext": true, "text": true, "txt": true, "output": true, "json": true, "http": true, "log": true, "none": true, "xxx": true, "html": true, "xml": true}

// splitter finds the statements of a page.
type splitter struct {
	page       *page
	statements []*statement
	issues     []issue
	unused     []issue // fences that may be an output, and are compared with nothing
}

// split finds the statements of a page.
func split(p *page) ([]*statement, []issue, []issue) {
	s := &splitter{page: p}
	for _, f := range p.fences {
		before := len(s.statements)
		if shellTags[f.tag] || f.tag == "" || hasCommand(f) {
			s.fence(f)
		}
		if len(s.statements) == before {
			s.output(f)
		}
	}
	inPods(s.statements)
	return s.merge(), s.issues, s.unused
}

// hasCommand reports whether a fence whose tag says otherwise begins with a
// command of kubectl or istioctl.
func hasCommand(f *fence) bool {
	for _, l := range f.lines {
		if t := strings.TrimSpace(l.text); t != "" {
			t = strings.TrimPrefix(t, "$ ")
			return strings.HasPrefix(t, "kubectl ") || strings.HasPrefix(t, "istioctl ")
		}
	}
	return false
}

// cutPrompt returns what stands behind a prompt.
func cutPrompt(l line) (line, bool) {
	for _, re := range prompts {
		if m := re.FindString(l.text); m != "" && !writesFile(m) {
			return line{l.text[len(m):], l.line, l.column + len([]rune(m))}, true
		}
	}
	if m := asRoot.FindString(l.text); m != "" && (strong.MatchString(l.text[len(m):])) && !strings.HasSuffix(strings.TrimSpace(l.text), ".") {
		return line{l.text[len(m):], l.line, l.column + len([]rune(m))}, true
	}
	return l, false
}

// writesFile reports whether what looks like a prompt is a program whose output goes into
// a file, such as the beginning of "cat > FILE".
func writesFile(prompt string) bool {
	name, is := strings.CutSuffix(strings.TrimSpace(prompt), " >")
	return is && heads[name]
}

// starts returns the beginning of a statement in a line, without prompt, number and
// blanks in front.
func starts(l line, prompted bool) (first line, isPrompt, ok bool) {
	cut, isPrompt := cutPrompt(l)
	if isPrompt {
		return cut, true, strings.TrimSpace(cut.text) != ""
	}
	t := l
	if m := numbered.FindString(t.text); m != "" {
		rest := t.text[len(m):]
		if !strong.MatchString(rest) {
			return l, false, false
		}
		t = line{rest, t.line, t.column + len([]rune(m))}
	}
	blanks := len(t.text) - len(strings.TrimLeft(t.text, " \t"))
	t = line{t.text[blanks:], t.line, t.column + blanks}
	if strong.MatchString(t.text) || isAliased(t.text) {
		return t, false, true
	}
	if prompted {
		return l, false, false
	}
	word, _, _ := strings.Cut(t.text, " ")
	isHead := heads[word] && (word == t.text || !strings.HasSuffix(t.text, ".") || strings.Contains(t.text, "-") || strings.HasSuffix(t.text, "..")) && !strings.HasSuffix(t.text, ":")
	return t, false, isHead || strings.HasPrefix(word, "./") || assignment.MatchString(t.text) && !strings.Contains(word, ".")
}

// fence splits a fence.
func (s *splitter) fence(f *fence) {
	prompted := false
	for _, l := range f.lines {
		if _, is := cutPrompt(l); is {
			prompted = true
		}
	}
	// A mixture is one only if the first line is none of the marked commands.
	var last *statement
	prose, blank := false, false
	commented := commentsWithHash(f)
	for i := 0; i < len(f.lines); i++ {
		l := f.lines[i]
		if strings.TrimSpace(l.text) == "" {
			blank = true
			continue
		}
		if commented && asRoot.MatchString(l.text) {
			blank = false
			continue
		}
		first, isPrompt, ok := starts(l, prompted)
		first, other := named(first)
		if !ok && last == nil && !prompted && shellTags[f.tag] && makesFile.MatchString(l.text) {
			first, ok = l, true
		}
		if ok {
			st := &statement{fence: f, prompt: isPrompt, alias: other, inShell: isPrompt && shellPrompt.MatchString(l.text)}
			if g := inPod.FindStringSubmatch(l.text); g != nil && isPrompt {
				st.pod = "deploy/" + g[1]
			}
			n := s.statement(st, first, f.lines[i:])
			i += n - 1
			prose, blank = false, false
			if st.file == nil || len(st.file.Stmts) > 0 {
				s.statements = append(s.statements, st)
				last = st
			}
			continue
		}
		t := strings.TrimSpace(l.text)
		switch {
		case isPrompt: // and nothing behind it
		case prose:
		case isComment(t):
		case isNumbered(t), blank && isSentence(t):
			prose = true
		case last == nil && s.isAnnounced(f):
			prose = true
		case last == nil && f.tag != "" && shellTags[f.tag] && !prompted && looksLikeCommand(t):
			word, _, _ := strings.Cut(t, " ")
			s.issues = append(s.issues, issue{l.line, l.column, fmt.Sprintf("%q is no program that is known here, and a fence of %s begins with it", word, f.tag), meant(word, unmapped)})
			prose = true
		case last == nil:
			prose = true
		case !prompted && shellTags[f.tag] && looksLikeCommand(t) && !looksLikeOutput(t):
			word, _, _ := strings.Cut(t, " ")
			s.issues = append(s.issues, issue{l.line, l.column, fmt.Sprintf("%q is no program that is known here; if the line is shown output, nothing tells", word), meant(word, "write $ in front of the fence's commands, or "+unmapped)})
			prose = true
		default:
			last.show(l)
		}
		blank = false
	}
}

// commentsWithHash reports whether # begins a comment in a fence, also in front of a
// command: another command there has no prompt, or another one than root's.
func commentsWithHash(f *fence) bool {
	return slices.ContainsFunc(f.lines, func(l line) bool {
		if asRoot.MatchString(l.text) {
			return false
		}
		_, is := cutPrompt(l)
		return is || strong.MatchString(strings.TrimSpace(l.text))
	})
}

// inPod matches the prompt of a shell in a pod of a Deployment.
var inPod = regexp.MustCompile(`^\s*[\w.-]+@([a-z0-9-]+)-[a-z0-9]{8,10}-[a-z0-9]{5}:[^\s]*[#$] ?`)

// inPods gives curl without a prompt to the pod in whose shell another statement of
// its fence is typed: who copied the fence left the first prompt out.
func inPods(all []*statement) {
	for _, st := range all {
		for _, other := range all {
			if st.pod == "" && !st.prompt && strings.HasPrefix(st.text(), "curl ") && other.fence == st.fence {
				st.pod = other.pod
			}
		}
	}
}

// show adds a line that the page shows, and the blank ones in front of it.
func (s *statement) show(l line) {
	if n := len(s.shown); n > 0 {
		for at := s.shown[n-1].line + 1; at < l.line; at++ {
			s.shown = append(s.shown, line{"", at, 1})
		}
	}
	s.shown = append(s.shown, l)
}

func isComment(t string) bool {
	return strings.HasPrefix(t, "#") && !strings.HasPrefix(t, "#!") || strings.HasPrefix(t, "// ")
}

var numberedWords = regexp.MustCompile(`^\d+[.)、]\s*(?:[A-Za-z]{2,}\b|[^\x00-\x{2e80}])`)

// isNumbered reports whether a text is an item of a numbered list.
func isNumbered(t string) bool { return numberedWords.MatchString(t) }

// isSentence reports whether a text is prose: words, and an end as a sentence has.
func isSentence(t string) bool {
	if len(strings.Fields(t)) < 3 || !hasWords(t) {
		return false
	}
	return strings.HasSuffix(t, ".") && !strings.HasSuffix(t, "..") || strings.HasSuffix(t, ":") || strings.HasSuffix(t, "。") || strings.HasSuffix(t, "：")
}

// hasWords reports whether a text begins with a capital letter, or one of a script
// that has none, rather than with a name or a sign.
func hasWords(t string) bool {
	for _, c := range t {
		return c >= 'A' && c <= 'Z' || c > 0x2e80
	}
	return false
}

var commandLike = regexp.MustCompile(`^(?:\./)?[a-z][a-z0-9_./-]*(?: |$)`)

func looksLikeCommand(t string) bool { return commandLike.MatchString(t) }

var outputLike = regexp.MustCompile(`^(?:[A-Z]|HTTP/|[{}\[\]<"*'(|]|\.\.\.|\d|command terminated|curl: |error|real\s|user\s|sys\s|\S+/\S+ \S+$|\S+ "?\S+"? (?:created|configured|unchanged|deleted|labeled|condition met|replaced|patched|annotated|scaled|restarted)|[a-z-]+: |[a-z-]+:$|\S+\s{2,}\S)|(?: created| configured| unchanged| deleted| labeled| replaced| successfully rolled out)$|\.\.\.`)

func looksLikeOutput(t string) bool { return outputLike.MatchString(t) }

// spokenOf matches what an author says of a command behind it, as it is said in other
// languages than a shell's.
var spokenOf = regexp.MustCompile(`\s+//\s?[A-Za-z][^"']*$`)

// statement reads a statement and returns how many lines it has.
func (s *splitter) statement(st *statement, first line, lines []line) int {
	first.text = spokenOf.ReplaceAllString(first.text, "")
	st.lines = []line{first}
	for n := 1; ; n++ {
		text := st.text()
		file, more, problem := shell.Parse(text)
		continued := strings.HasSuffix(st.lines[n-1].text, `\`)
		if problem == nil && !continued {
			if st.file = file; redirects(st) {
				s.fillIn(st)
			} else {
				st.blank = bracketed(file)
			}
			return n
		}
		if n < len(lines) && (more || continued) {
			next := lines[n]
			if _, isPrompt := cutPrompt(next); isPrompt && !strings.Contains(text, "<<") && n > 1 {
				// the next command has begun: the quotes are never closed
			} else {
				if m := strings.TrimPrefix(next.text, "> "); st.prompt && m != next.text {
					next = line{m, next.line, next.column + 2}
				} else if st.prompt && strings.TrimSpace(next.text) == ">" {
					next.text = ""
				}
				next, _ = named(next)
				st.lines = append(st.lines, next)
				continue
			}
		}
		if problem == nil { // nothing is behind the last backslash
			st.file = file
			return n
		}
		if s.fillIn(st) {
			return n
		}
		s.broken(st, problem)
		if more && !strings.Contains(problem.Msg, "here-document") {
			st.lines = st.lines[:1] // what stands behind is looked at anew
			return 1
		}
		return n
	}
}

// placeholder is a part that the reader is to fill in.
var placeholder = regexp.MustCompile(`<[\pL][\pL\pN _.-]*>`)

// inBrackets matches a word with a part that the reader is to fill in, in brackets: a shell
// takes it as it is.
var inBrackets = regexp.MustCompile(`(?:^|=)(\[(?:[A-Z][A-Z0-9]*[_-])*[A-Z][A-Z0-9]+\])$`)

// bracketed returns such a part of a command of kubectl or istioctl; "" for none.
func bracketed(file *syntax.File) (blank string) {
	syntax.Walk(file, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "kubectl" && call.Args[0].Lit() != "istioctl" {
			return true
		}
		for _, arg := range call.Args[1:] {
			if g := inBrackets.FindStringSubmatch(arg.Lit()); g != nil {
				blank = g[1]
			}
		}
		return true
	})
	return blank
}

// fillIn reads a statement with a part that the reader is to fill in: a word stands
// in its place.
func (s *splitter) fillIn(st *statement) bool {
	lines := make([]line, len(st.lines))
	blank := ""
	for i, l := range st.lines {
		lines[i] = l
		lines[i].text = placeholder.ReplaceAllStringFunc(l.text, func(m string) string {
			blank = m
			return strings.Repeat("_", len(m))
		})
	}
	filled := *st
	filled.lines = lines
	file, _, problem := shell.Parse(filled.text())
	if blank == "" || problem != nil {
		return false
	}
	st.lines, st.file, st.blank = lines, file, blank
	return true
}

// redirects reports whether a shell takes a part that the reader is to fill in for a
// redirection from a file and one into a file.
func redirects(st *statement) (found bool) {
	text := st.text()
	syntax.Walk(st.file, func(n syntax.Node) bool {
		if r, ok := n.(*syntax.Redirect); ok && r.Op == syntax.RdrIn {
			at := placeholder.FindStringIndex(text[r.OpPos.Offset():])
			found = found || at != nil && at[0] == 0
		}
		return true
	})
	return found
}

// broken reports a statement that cannot be parsed.
func (s *splitter) broken(st *statement, problem *shell.Problem) {
	at, column := st.place(problem.Line, problem.Column)
	e := issue{at, column, "a shell cannot read this: " + problem.Msg, problem.Hint}
	for i, l := range st.lines {
		if q := strings.IndexAny(l.text, "“”‘’"); q >= 0 {
			e.line, e.column = st.place(i+1, q+1)
			opened := problem.Column
			if problem.Line == i+1 && opened > 0 && opened-1 < q {
				e.line, e.column = st.place(i+1, opened)
			}
			e.msg = fmt.Sprintf("%c is no quote to a shell: the quote that opens here is never closed", []rune(l.text[q:])[0])
			e.hint = `write " or '`
			break
		}
	}
	if strings.Contains(problem.Msg, "here-document") {
		e.hint = "the line that ends it must stand at the line's very beginning"
	}
	s.issues = append(s.issues, e)
}

var ofOutput = regexp.MustCompile(`(?i)\b(output|result|response|respond|returns?|returned|see|shows?|shown|similar|print|display|get|messages?|errors?|fails?|blocked|logs?|expect(?:ed)?)\b|输出|结果|返回|响应|显示|輸出|結果|回應|顯示|出力|応答|表示|レスポンス|결과|출력|응답|вивід|результат|відповідь|вывод|ответ` +
	`|(?i)\b(?:salida|resultados?|respuesta|respond(?:e|er)|devuelve|devolver|muestra|mostrar|resposta|retorn[ao]|mostra|exibe|exibir|ausgabe|ausgegeben|ergebnis|antwort|zeigt|sortie|affiche|renvoie|risultato|risposta)\b|sa[íi]da|\bver(?:ás?|as|a)(?:[\s:,.]|$)|r[ée]sultat|r[ée]ponse`)

// announces matches a text that says of the fence behind it that it is an output, and
// nothing else.
var announces = regexp.MustCompile(`(?i)^(?:the |an? |your )?(?:(?:sample|example|expected|command|terminal|resulting|console|typical) )*(?:output|results?|response)(?: (?:is|should be|will be|looks like|example|similar to|as follows)\b[^.]{0,20})?\s*[:：]?$` +
	`|^(?:(?:la|a|el|o) )?(?:salida|sa[íi]da|resultado|respuesta|resposta)(?: (?:esperad[ao]|de ejemplo|de exemplo|del comando|do comando|(?:es|é)(?: (?:parecid|similar|semelhante)\S*)?(?: a est[ae])?))?\s*[:：]?$` +
	`|^(?:(?:die|la) )?(?:(?:erwartete )?(?:ausgabe|ergebnis)|sortie(?: attendue)?|r[ée]sultat(?: attendu)?)\s*[:：]?$|^(?:期待される|想定される)?(?:出力|実行結果|結果)(?:例|結果)?(?:は次の(?:とおり|通り)です)?\s*[:：。]?$|^(?:预期|预期的|示例|命令)?(?:输出|结果)(?:如下|示例)?\s*[:：。]?$`)

// isAnnounced reports whether the text right above a fence says that it is an output.
func (s *splitter) isAnnounced(f *fence) bool {
	t := s.page.textBefore(f.at)
	return t != nil && announces.MatchString(strings.TrimSpace(t.text))
}

// output gives a fence without commands to the statement before it, if it is what
// the page shows of it.
func (s *splitter) output(f *fence) {
	if len(s.statements) == 0 || !outputTags[f.tag] && !s.isAnnounced(f) && !(shellTags[f.tag] && len(f.lines) > 0 && looksLikeOutput(strings.TrimSpace(f.lines[0].text))) {
		return
	}
	last := s.statements[len(s.statements)-1]
	if last.fence.end > f.at || last.fence.tab != f.tab {
		return
	}
	between := ""
	for _, t := range s.page.prose {
		if t.at <= last.fence.end || t.at >= f.at {
			continue
		}
		if t.level > 0 {
			return
		}
		between += t.text + "\n"
	}
	if len(last.shown) > 0 {
		if ofOutput.MatchString(between) || showsFact(f) {
			s.compareNothing(f, fmt.Sprintf("the command before it shows its output in line %d", last.shown[0].line))
		}
		return
	}
	for _, other := range s.page.fences {
		if other != f && other.at > last.fence.at && other.at < f.at {
			return
		}
	}
	if between != "" && !ofOutput.MatchString(between) && !showsFact(f) {
		if f.tag != "" {
			s.compareNothing(f, "the text above it does not say that a command prints it")
		}
		return
	}
	for _, l := range f.lines {
		if strings.TrimSpace(l.text) != "" {
			last.show(l)
		}
	}
	s.share(last)
}

// compareNothing notes a fence that is compared with nothing, and why.
func (s *splitter) compareNothing(f *fence, why string) {
	if len(f.lines) > 0 {
		s.unused = append(s.unused, issue{line: f.lines[0].line, column: f.lines[0].column, msg: why})
	}
}

// showsFact reports whether a fence has what only a command prints: an exit code, a
// status line, an error of curl.
func showsFact(f *fence) bool {
	return slices.ContainsFunc(f.lines, func(l line) bool {
		_, exits := expect.ShownExitCode(l.text)
		return exits || headLine.MatchString(l.text) || strings.HasPrefix(strings.TrimSpace(l.text), "curl: (")
	})
}

// merge drops a statement that stands right behind itself, once with and once
// without what it shows: a transcript of the first.
func (s *splitter) merge() []*statement {
	var all []*statement
	for _, st := range s.statements {
		if n := len(all); n > 0 && all[n-1].text() == st.text() && len(all[n-1].shown) == 0 && len(st.shown) > 0 && st.prompt {
			all[n-1].shown = st.shown
			continue
		}
		all = append(all, st)
	}
	return all
}

// meant returns the program that a word is most probably a slip of, as a hint; otherwise
// another hint.
func meant(word, otherwise string) string {
	for _, name := range []string{"kubectl", "istioctl", "curl", "export", "helm", "openssl"} {
		if nearest.Within(word, name, 1+len(name)/6) {
			return "did you mean " + name + "?"
		}
	}
	return otherwise
}

// unmapped is what an author can do about a command that becomes no step.
const unmapped = `leave it out by <!-- egressplay: skip="WHY" --> before the fence`
