package pages

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/expect"
	"github.com/egressplay/egressplay/shell"
)

// outsidePod is the pod that stands for the reader's machine where a page sends requests
// from there to a gateway: it has no sidecar, so that its requests come from outside of the
// mesh, as the reader's do.
const outsidePod = "outside-the-mesh"

const outsideManifest = `apiVersion: v1
kind: Pod
metadata:
  name: ` + outsidePod + `
  labels: {app: ` + outsidePod + `, sidecar.istio.io/inject: "false", istio.io/dataplane-mode: none}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: curl
    image: curlimages/curl
    command: [sleep, infinity]
`

// fromService matches a JSON path at which an address stands that a cluster is reached at
// from outside.
var fromService = regexp.MustCompile(`\.status\.loadBalancer\.ingress\b|\.status\.addresses\b|\.status\.hostIP\b|\.spec\.externalIPs\b|"(?:In|Ex)ternalIP"`)

// reaches notes whether a variable has such an address: it was looked up there, or is made
// of one that was.
func (m *mapper) reaches(name string, value *yaml.Node, text string) {
	of := value != nil && fromService.MatchString(valueOf(value, "jsonpath"))
	for other := range m.addresses {
		of = of || strings.Contains(text, "${"+other+"}")
	}
	if of {
		m.addresses[name] = true
	} else {
		delete(m.addresses, name)
	}
}

// toGateway reports whether a word of curl leads to such an address.
func (m *mapper) toGateway(words []string) bool {
	for i, w := range words {
		at := strings.TrimPrefix(strings.TrimPrefix(w, "http://"), "https://")
		named := i > 0 && (words[i-1] == "--resolve" || words[i-1] == "--connect-to")
		for name := range m.addresses {
			ref := "${" + name + "}"
			if strings.HasPrefix(at, ref) || named && strings.Contains(w, ref) || strings.HasPrefix(w, "--resolve=") && strings.Contains(w, ref) {
				return true
			}
		}
	}
	return false
}

// readsFile matches the flags of curl that name a file to read, and those whose value
// names one behind an @.
var (
	readsFile   = regexp.MustCompile(`^(?:--cacert|--cert|-E|--key|-T|--upload-file)$`)
	readsBehind = regexp.MustCompile(`^(?:-d|--data|--data-binary|--data-ascii|-F|--form)$`)
	ofMachine   = regexp.MustCompile(`^(?:--capath|-K|--config|--netrc-file|-b|--cookie|-c|--cookie-jar|-D|--dump-header)$`)
)

// A sentFile is a file of the page that curl reads: the word of the command that names it.
type sentFile struct {
	name string
	word int
}

// filesOf returns the files that curl reads. err is about one that it would read or write
// on this machine.
func filesOf(words []string) (all []sentFile, err error) {
	for i := 1; i < len(words); i++ {
		flag, w := words[i-1], words[i]
		switch {
		case readsFile.MatchString(flag):
			all = append(all, sentFile{w, i})
		case readsBehind.MatchString(flag) && strings.HasPrefix(w, "@"):
			all = append(all, sentFile{w[1:], i})
		case readsBehind.MatchString(flag) && strings.Contains(w, "=@"), ofMachine.MatchString(flag) && w != "-", (flag == "-o" || flag == "--output") && w != "/dev/null" && w != "-":
			return nil, cannot("", "curl would use a file of this machine, which is in no pod: %s %s", flag, w)
		}
	}
	return all, nil
}

// inOutside is the folder of the page's files in the pod outside of the mesh.
const inOutside = "/tmp/page/"

// send returns the step that puts a file of the page into the pod outside of the mesh, and
// the file's path there. The step is nil if the file is there already.
func (m *mapper) send(at place, name string) (*yaml.Node, string, error) {
	to := inOutside + strings.TrimLeft(strings.ReplaceAll(baseOf(name), "../", ""), "/")
	text, err := m.content(name)
	if err != nil || m.sent[to] == text {
		return nil, to, err
	}
	if strings.ContainsAny(to, " '\"$") {
		return nil, "", cannot("", "the name of a file is not known before the run")
	}
	m.sent[to] = text
	in := at.scalar(text)
	in.Style = yaml.LiteralStyle
	command := at.texts([]string{"sh", "-c", "mkdir -p " + path.Dir(to) + " && cat > " + to})
	return at.mapping("title", "Put "+name+" into the pod outside of the mesh", "exec", at.mapping("in", outsidePod, "command", command, "stdin", in)), to, nil
}

var errorOfCurl = regexp.MustCompile(`^\s*curl: \((\d+)\) `)

// withExitCode returns what is shown of curl on the reader's machine as kubectl exec shows
// it: behind an error of curl it tells the exit code.
func withExitCode(shown []line) (all []line) {
	for i, l := range shown {
		all = append(all, l)
		g := errorOfCurl.FindStringSubmatch(l.text)
		if g == nil {
			continue
		}
		if i+1 < len(shown) {
			if _, is := expect.ShownExitCode(shown[i+1].text); is {
				continue
			}
		}
		all = append(all, line{"command terminated with exit code " + g[1], l.line, l.column})
	}
	return all
}

// fromOutside returns a statement whose requests to a gateway, by curl on the reader's
// machine, come from a pod outside of the mesh, and the steps that must be done first.
// Requests to anything else are left as they are: nothing tells from which pod they are
// meant to come.
func (m *mapper) fromOutside(st *statement) (*statement, []*yaml.Node, error) {
	if len(m.addresses) == 0 {
		return st, nil, nil
	}
	type change struct {
		from, to int
		text     string
	}
	line, column := st.place(1, 1)
	here := place{line, column}
	var changes []change
	var sent []*yaml.Node
	var err error
	syntax.Walk(st.file, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || len(call.Args) < 2 || call.Args[0].Lit() != "curl" || err != nil {
			return true
		}
		texts, _, _ := m.wordsOf(call)
		if !m.toGateway(texts[1:]) {
			return true
		}
		var files []sentFile
		if files, err = filesOf(texts); err != nil {
			return true
		}
		at := int(call.Pos().Offset())
		changes = append(changes, change{at, at, "kubectl exec " + outsidePod + " -- "})
		for _, f := range files {
			var step *yaml.Node
			var to string
			if step, to, err = m.send(here, f.name); err != nil {
				return true
			}
			if step != nil {
				sent = append(sent, step)
			}
			if strings.HasPrefix(texts[f.word], "@") {
				to = "@" + to
			}
			changes = append(changes, change{int(call.Args[f.word].Pos().Offset()), int(call.Args[f.word].End().Offset()), to})
		}
		return true
	})
	if len(changes) == 0 || err != nil {
		return st, nil, err
	}
	text := st.text()
	slices.SortFunc(changes, func(a, b change) int { return a.from - b.from })
	for _, c := range slices.Backward(changes) {
		text = text[:c.from] + c.text + text[c.to:]
	}
	file, _, problem := shell.Parse(text)
	lines := strings.Split(text, "\n")
	if problem != nil || len(lines) != len(st.lines) {
		return st, nil, nil
	}
	there := *st
	there.file, there.lines = file, slices.Clone(st.lines)
	for i := range lines {
		there.lines[i].text = lines[i]
	}
	there.shown = withExitCode(st.shown)
	m.note(here, false, "a request to a gateway from outside of the mesh: it is sent from the pod %s, which has no sidecar", outsidePod)
	if m.outside {
		return &there, sent, nil
	}
	m.outside = true
	pod := here.scalar(outsideManifest)
	pod.Style = yaml.LiteralStyle
	return &there, append([]*yaml.Node{here.mapping("title", "Deploy a pod outside of the mesh", "apply", pod)}, sent...), nil
}
