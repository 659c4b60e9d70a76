package pages

import (
	"errors"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// find returns a file that a command names: one that the page has written, with its
// first line there; else the path of a sample or of a file beside the page.
func (m *mapper) find(c *command, file string) (text string, line int, beside string, err error) {
	name := baseOf(m.written(file))
	if f, ok := m.files[name]; ok {
		return f.text, f.line, "", nil
	}
	if variable := m.looked[name]; variable != "" {
		return "", 0, "", cannot("use the variable "+variable+" in a hidden step, in which what it has can be given", "what is in the file %s is known only at the run", name)
	}
	if strings.Contains(name, "${") {
		return "", 0, "", cannot("write the name out, or set its variables by export NAME=VALUE on the page", "the name of the file %s is not known before the run", name)
	}
	if sample := m.builtInSample(name); sample != "" {
		return "", 0, sample, nil
	}
	if sampleOf.MatchString(name) && (!strings.Contains(name, "://") || strings.Contains(name, "istio/istio")) {
		if _, err := m.readFile(name); err != nil {
			return "", 0, "", cannot("put the sample beside the page", "the sample %s is not built in", name)
		}
		return "", 0, name, nil
	}
	if strings.Contains(name, "://") {
		return "", 0, "", cannot("put the file beside the page", "nothing is fetched here: %s", name)
	}
	if strings.HasPrefix(name, "../") && m.folder != "" {
		if f, ok := m.files[path.Join(m.folder, name)]; ok {
			return f.text, f.line, "", nil
		}
		name = path.Join(m.folder, name) // cd has led to a folder in the page's own
	}
	if filepath.IsAbs(name) || strings.Contains(name, "..") || strings.HasPrefix(name, "~") {
		return "", 0, "", cannot("", "the file %s lies outside of the page's folder", name)
	}
	name = m.here(name)
	if _, err := m.readFile(name); err == nil {
		return "", 0, name, nil
	}
	if f := m.fenceOf(name, c.at.line); f != nil {
		texts := make([]string, len(f.lines))
		for i, l := range f.lines {
			texts[i] = l.text
		}
		return literal(strings.Join(texts, "\n")) + "\n", f.lines[0].line, "", nil
	}
	return "", 0, "", cannot("put it beside the page, or name it before a fence: <!-- egressplay: file="+name+" -->",
		"the page has not written the file %s, and there is none beside it", name)
}

// readFile reads a file of the page's folder, or a sample that is built in.
func (m *mapper) readFile(name string) ([]byte, error) {
	if name == "" || filepath.IsAbs(name) || slices.Contains(strings.Split(name, "/"), "..") {
		return nil, errors.New("the file lies outside of the page's folder")
	}
	return m.source.ReadFile(name)
}

// fenceOf returns the fence that is the file which a line of the page names. An annotation,
// a comment in the fence's first line, or the sentence before the fence gives it the
// file's name. If several fences have the name, the last one above the line counts.
func (m *mapper) fenceOf(name string, at int) *fence {
	base := name[strings.LastIndexByte(name, '/')+1:]
	names := func(text string) bool {
		return slices.ContainsFunc(strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(" \t`\"'(),;:[]*<>", c) || c > 0x2000 }), func(w string) bool {
			w = strings.TrimRight(w, ".")
			return w == name || w == base || baseOf(w) == name || strings.HasSuffix(w, "/"+base)
		})
	}
	var found []*fence
	for _, f := range m.page.fences {
		if f.tag != "yaml" && f.tag != "yml" && f.tag != "" || len(f.lines) == 0 {
			continue
		}
		first := strings.TrimSpace(f.lines[0].text)
		t := m.page.textBefore(f.at)
		if strings.HasPrefix(first, "#") && names(first) || names(attributeOf(f.info, "title")+" "+attributeOf(f.info, "file")) || t != nil && names(t.text) {
			if isManifest(f) {
				found = append(found, f)
			}
		}
	}
	for i := len(found) - 1; i >= 0; i-- {
		if found[i].at < at {
			return found[i]
		}
	}
	if len(found) != 1 {
		return nil
	}
	return found[0]
}

// isManifest reports whether a fence begins as an object does.
func isManifest(f *fence) bool {
	for _, l := range f.lines {
		t := strings.TrimSpace(l.text)
		if t != "" && t != "---" && !strings.HasPrefix(t, "#") {
			return strings.HasPrefix(t, "apiVersion:") || strings.HasPrefix(t, "kind:")
		}
	}
	return false
}

// readFences notes the fences that are files by an annotation.
func (m *mapper) readFences(a *annotations) {
	for _, f := range m.page.fences {
		s := a.fences[f]
		if s.file == "" {
			continue
		}
		texts := make([]string, len(f.lines))
		for i, l := range f.lines {
			texts[i] = l.text
		}
		m.files[baseOf(s.file)] = memoryFile{literal(strings.Join(texts, "\n")) + "\n", f.lines[0].line}
		m.statements = slices.DeleteFunc(m.statements, func(st *statement) bool { return st.fence == f })
	}
}

// edited notes a file that is written in an editor: the next fence of YAML.
func (m *mapper) edited(c *command, file string) error {
	for _, f := range m.page.fences {
		if f.at <= c.st.fence.at {
			continue
		}
		if f.tag != "yaml" && f.tag != "yml" || !isManifest(f) {
			break
		}
		texts := make([]string, len(f.lines))
		for i, l := range f.lines {
			texts[i] = l.text
		}
		m.files[baseOf(file)] = memoryFile{literal(strings.Join(texts, "\n")) + "\n", f.lines[0].line}
		return nil
	}
	return cannot("", "no fence behind it is the file that is written")
}

// shownFile notes a file whose text the page shows as the output of cat, if the output is a
// whole manifest and there is no file of that name. It reports whether it is so.
func (m *mapper) shownFile(c *command, file string) bool {
	name := baseOf(file)
	_, written := m.files[name]
	if _, err := m.readFile(name); written || err == nil || strings.Contains(name, "${") || hasEllipsis(c.st.shown) || !isManifest(&fence{lines: c.st.shown}) {
		return false
	}
	texts := make([]string, len(c.st.shown))
	for i, l := range c.st.shown {
		texts[i] = l.text
	}
	text := literal(strings.Join(texts, "\n")) + "\n"
	if objects, err := objectsOfText(text); err != nil || len(objects) == 0 {
		return false
	}
	m.files[name] = memoryFile{text, c.st.shown[0].line}
	return true
}

// printed notes that a command only prints a file: the file is read where it is applied.
func (m *mapper) printed(c *command, file string) error {
	if _, _, _, err := m.find(c, file); err != nil {
		return err
	}
	m.note(c.at, false, "not run: the file %s is read where a command uses it", baseOf(file))
	if len(c.st.shown) > 0 {
		m.note(place{c.st.shown[0].line, c.st.shown[0].column}, false, "what this shows is compared with nothing: the file itself is what counts")
	}
	return nil
}

// An object of a manifest.
type object struct{ apiVersion, kind, name, namespace string }

// ref returns the object as kubectl names it. Two of Istio's kinds have names that
// others have too.
func (o object) ref() string {
	kind := strings.ToLower(o.kind)
	if kind == "gateway" {
		group, _, _ := strings.Cut(o.apiVersion, "/")
		kind = "gateways." + group
	}
	return kind + "/" + o.name
}

// objectsOfText returns the objects of a manifest.
func objectsOfText(text string) ([]object, error) {
	var all []object
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var doc struct {
			APIVersion string `yaml:"apiVersion"`
			Kind       string
			Metadata   struct{ Name, Namespace string }
		}
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if doc.Kind == "" && doc.Metadata.Name == "" {
			continue
		}
		all = append(all, object{doc.APIVersion, doc.Kind, doc.Metadata.Name, doc.Metadata.Namespace})
	}
}

// learn notes what a step deploys and sets.
func (m *mapper) learn(n *yaml.Node) {
	if v := key(n, "set"); v != nil && v.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(v.Content); i += 2 {
			m.set[v.Content[i].Value] = max(1, n.Line)
		}
	}
	if v := key(n, "certificates"); v != nil && v.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(v.Content); i += 2 {
			m.set[v.Content[i].Value+"_CRT"], m.set[v.Content[i].Value+"_KEY"] = max(1, n.Line), max(1, n.Line)
		}
	}
	if v := key(key(n, "policy"), "set"); v != nil {
		m.policy = v.Value
	}
	if v := key(key(n, "delete"), "objects"); v != nil {
		ns := valueOf(key(n, "delete"), "namespace")
		m.deployments = slices.DeleteFunc(m.deployments, func(d deployment) bool {
			return d.namespace == ns && slices.ContainsFunc(v.Content, func(o *yaml.Node) bool {
				kind, name, _ := strings.Cut(o.Value, "/")
				return strings.HasPrefix(kind, "deploy") && name == d.name
			})
		})
	}
	v := key(n, "apply")
	if v == nil {
		return
	}
	for _, d := range m.deploymentsOf([]*yaml.Node{n}) {
		if !slices.Contains(m.deployments, d) {
			m.deployments = append(m.deployments, d)
		}
	}
	for _, text := range m.manifestsOf(v) {
		m.learnLabels(text)
	}
}

// manifestsOf returns the texts that an apply step applies. v is what stands at its
// verb, and may be nil.
func (m *mapper) manifestsOf(v *yaml.Node) (texts []string) {
	if v == nil {
		return nil
	}
	if v.Kind == yaml.ScalarNode {
		texts = append(texts, v.Value)
	}
	if t := key(v, "manifest"); t != nil {
		texts = append(texts, t.Value)
	}
	if list := key(v, "files"); list != nil {
		for _, f := range list.Content {
			if data, err := m.readFile(f.Value); err == nil {
				texts = append(texts, string(data))
			}
		}
	}
	return texts
}

// learnLabels notes the labels of the pods that a manifest makes.
func (m *mapper) learnLabels(text string) {
	type meta struct {
		Name   string
		Labels map[string]string
	}
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var doc struct {
			Kind     string
			Metadata meta
			Spec     struct {
				Selector yaml.Node
				Template struct{ Metadata meta }
			}
		}
		if d.Decode(&doc) != nil {
			return
		}
		switch doc.Kind {
		case "Pod":
			m.labels = append(m.labels, doc.Metadata.Labels)
			m.mayExpose(exposable{"pod/" + doc.Metadata.Name, doc.Metadata.Labels, doc.Metadata.Labels})
		case "Deployment":
			var selector struct {
				MatchLabels map[string]string `yaml:"matchLabels"`
			}
			if doc.Spec.Selector.Decode(&selector) == nil && len(selector.MatchLabels) > 0 {
				m.mayExpose(exposable{"deployment/" + doc.Metadata.Name, doc.Metadata.Labels, selector.MatchLabels})
			}
		}
		if doc.Spec.Template.Metadata.Labels != nil {
			m.labels = append(m.labels, doc.Spec.Template.Metadata.Labels)
		}
	}
}
