package pages

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"

	"github.com/egressplay/egressplay/shell"
)

// kubectl maps a kubectl command.
func (m *mapper) kubectl(c *command, stmt *syntax.Stmt, texts []string, words []word, plain bool) ([]*yaml.Node, bool, error) {
	if slices.Contains(texts, "port-forward") || len(texts) > 1 && texts[1] == "proxy" {
		return nil, true, m.forwarded(c, texts)
	}
	k, err := shell.ParseKubectl(texts)
	if err != nil {
		if policy := m.replacedPolicy(c); policy != nil {
			return policy, true, nil
		}
		hint := ""
		if slices.Contains(texts, "edit") {
			hint = "show the change as a command: kubectl patch KIND/NAME --type=merge -p ..., or kubectl apply of the whole object; or " + unmapped
		}
		return nil, false, cannot(hint, "%v", err)
	}
	if policy := m.replacedPolicy(c); policy != nil {
		return policy, true, nil
	}
	if k.Verb == "get" {
		return m.get(c, k, plain)
	}
	if k.Looks() {
		switch k.Verb {
		case "exec":
			return m.exec(c, k, words, plain)
		case "logs":
			return m.logs(c, k, words, plain)
		case "describe":
			if len(c.st.shown) == 0 && len(c.stages) == 1 && len(k.Args) > 0 {
				return nil, false, m.described(c)
			}
			return nil, false, nil
		}
		return nil, false, cannot("", "kubectl %s is not known here", k.Verb)
	}
	if isDryRun(k) && len(c.stages) == 2 && m.isApplyOfInput(c.stages[1]) {
		text, err := m.made(k)
		if err != nil {
			return nil, false, err
		}
		return []*yaml.Node{c.at.mapping("title", c.title, "apply", m.manifest(c, k, text, 0))}, true, nil
	}
	if len(c.stages) > 1 {
		return nil, false, cannot("make it a command of its own", "what kubectl %s prints is not read here", k.Verb)
	}
	if c.settings.exit != "" && c.settings.exit != "0" {
		return nil, false, cannot("", "a change that is to fail is not known here")
	}
	if k.Verb == "run" && (k.Is("stdin") || k.Is("rm") || k.Is("attach")) {
		return m.oneOff(c, k, plain)
	}
	if err := m.checkVerbLines(c, k); err != nil {
		return nil, false, err
	}
	nodes, err := m.change(c, stmt, k, words, plain)
	return nodes, err == nil, err
}

// isDryRun reports whether a command prints a manifest.
func isDryRun(k *shell.Kubectl) bool {
	return strings.HasPrefix(k.Verb, "create ") && k.Flag("output") == "yaml" && (k.Flag("dry-run") == "client" || k.Flag("dry-run") == "true")
}

// isApplyOfInput reports whether a stage is kubectl apply -f -.
func (m *mapper) isApplyOfInput(stmt *syntax.Stmt) bool {
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "kubectl" {
		return false
	}
	texts, _, plain := m.wordsOf(call)
	k, err := shell.ParseKubectl(texts)
	return err == nil && plain && (k.Verb == "apply" || k.Verb == "replace") && k.Flag("filename") == "-" && k.Namespace() == ""
}

// change maps a command that changes the cluster.
func (m *mapper) change(c *command, stmt *syntax.Stmt, k *shell.Kubectl, words []word, plain bool) ([]*yaml.Node, error) {
	if k.Verb == "apply" || k.Verb == "create" || k.Verb == "replace" || k.Verb == "delete" {
		if !plain {
			return nil, cannot("", "what only a shell knows stands in the command")
		}
		for _, w := range words {
			if w.sub != nil {
				return nil, cannot("put it in a variable first", "kubectl %s with a $(...) is not known here", k.Verb)
			}
		}
	}
	at := c.at
	step := func(pairs ...any) []*yaml.Node {
		return []*yaml.Node{at.mapping(append([]any{"title", c.title}, pairs...)...)}
	}
	if k.Verb == "create clusterrolebinding" && asksCloud(words) {
		m.note(at, false, "not run: who runs this may do it already, and that is what the role is for")
		return nil, nil
	}
	if !plain {
		return nil, cannot("put it in a variable first: NAME=$(...)", "what only a shell knows stands in the command")
	}
	switch k.Verb {
	case "apply", "create", "replace":
		if k.Flag("dry-run") != "" {
			return nil, cannot("", "kubectl %s --dry-run is known here with -o yaml, into a pipe to kubectl apply -f -", k.Verb)
		}
		nodes, err := m.applied(c, stmt, k, words)
		if err != nil {
			return nil, err
		}
		return m.bypassNew(c, nodes)
	case "delete":
		return m.deleted(c, stmt, k)
	case "create namespace", "create serviceaccount", "create configmap", "create secret generic", "create secret tls", "create role", "create rolebinding",
		"create clusterrole", "create clusterrolebinding", "create deployment", "create service clusterip", "create service externalname", "create service nodeport":
		text, err := m.made(k)
		if err == nil && isDryRun(k) {
			err = cannot("", "a manifest that is only printed is not known here")
		}
		if err != nil {
			return nil, err
		}
		return step("apply", m.manifest(c, k, text, 0)), nil
	case "expose":
		return m.exposed(c, k)
	case "run":
		return m.pod(c, k)
	case "label", "annotate":
		return m.labelled(c, k)
	case "scale":
		n, err := strconv.Atoi(k.Flag("replicas"))
		object, objErr := objectOf(k)
		if err != nil || objErr != nil {
			return nil, cannot("", "kubectl scale: want one object and --replicas=N")
		}
		return step("scale", at.mapping("object", object, "namespace", k.Namespace(), "replicas", at.number(n))), nil
	case "patch":
		object, err := objectOf(k)
		if err != nil {
			return nil, err
		}
		if k.Flag("type") == "json" {
			return step("patch", at.mapping("object", object, "namespace", k.Namespace(), "json", at.scalar(k.Flag("patch")))), nil
		}
		if kind := k.Flag("type"); kind != "merge" && !((kind == "strategic" || kind == "") && !hasList(k.Flag("patch"))) {
			return nil, cannot("apply the whole object, or patch it by --type=merge", "only a merge patch and a JSON patch are known here, or a strategic one without lists, which that one would merge item by item")
		}
		return step("patch", at.mapping("object", object, "namespace", k.Namespace(), "merge", at.scalar(k.Flag("patch")))), nil
	case "rollout restart":
		object, err := objectOf(k)
		if err != nil {
			return nil, err
		}
		return step("restart", at.mapping("objects", at.texts([]string{object}), "namespace", k.Namespace())), nil
	case "rollout status":
		object, err := objectOf(k)
		if err != nil {
			return nil, err
		}
		return step("wait", at.mapping("object", object, "namespace", k.Namespace(), "for", "rollout"), "within", duration(k.Flag("timeout"))), nil
	case "wait":
		return m.waited(c, k)
	}
	return nil, cannot("", "kubectl %s is not known here", k.Verb)
}

// hasList reports whether a patch has a list, or is none that can be read.
func hasList(patch string) bool {
	var n yaml.Node
	if yaml.Unmarshal([]byte(patch), &n) != nil {
		return true
	}
	var lists func(n *yaml.Node) bool
	lists = func(n *yaml.Node) bool {
		return n.Kind == yaml.SequenceNode && len(n.Content) > 0 || slices.ContainsFunc(n.Content, lists)
	}
	return lists(&n)
}

var wholeSeconds = regexp.MustCompile(`^[1-9][0-9]*(?:s|m|h)$`)

func duration(text string) string {
	if wholeSeconds.MatchString(text) {
		return text
	}
	return ""
}

// waited maps kubectl wait.
func (m *mapper) waited(c *command, k *shell.Kubectl) ([]*yaml.Node, error) {
	at := c.at
	within := duration(k.Flag("timeout"))
	if k.Flag("timeout") == "" {
		within = "30s"
	}
	var nodes []*yaml.Node
	add := func(object, selector string) {
		nodes = append(nodes, at.mapping("title", c.title, "wait",
			at.mapping("object", object, "selector", selector, "namespace", k.Namespace(), "for", k.Flag("for")), "within", within))
	}
	switch {
	case k.Flag("for") == "":
		return nil, cannot("", "kubectl wait: want --for")
	case k.Is("all"):
		return m.waitedAll(c, k, within)
	case k.Flag("selector") != "" && len(k.Args) == 1:
		add(k.Args[0], k.Flag("selector"))
	default:
		objects, err := objectsOf(k.Args)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			add(object, "")
		}
	}
	return nodes, nil
}

// objectsOf returns KIND/NAME for each operand.
func objectsOf(args []string) ([]string, error) {
	var all []string
	switch {
	case len(args) == 0:
		return nil, cannot("", "no object is named")
	case strings.Contains(args[0], "/"):
		return args, nil
	case len(args) == 1:
		return nil, cannot("", "no object is named, only the kind %s", args[0])
	case strings.Contains(args[0], ","):
		return nil, cannot("", "several kinds at once are not known here")
	}
	for _, name := range args[1:] {
		all = append(all, args[0]+"/"+name)
	}
	return all, nil
}

func objectOf(k *shell.Kubectl) (string, error) {
	all, err := objectsOf(k.Args)
	if err != nil {
		return "", err
	}
	if len(all) != 1 {
		return "", cannot("", "kubectl %s: want one object", k.Verb)
	}
	return all[0], nil
}

// labelled maps kubectl label and annotate.
func (m *mapper) labelled(c *command, k *shell.Kubectl) ([]*yaml.Node, error) {
	var objects, changes []string
	for _, arg := range k.Args {
		if strings.Contains(arg, "=") || strings.HasSuffix(arg, "-") && len(objects) > 0 {
			changes = append(changes, arg)
		} else {
			objects = append(objects, arg)
		}
	}
	names, err := objectsOf(objects)
	if err != nil {
		return nil, err
	}
	if k.Flag("selector") != "" || k.Is("all") || len(changes) == 0 {
		return nil, cannot("", "kubectl %s: want an object and what to set", k.Verb)
	}
	at := c.at
	set, remove := at.mapping(), []string{}
	for _, change := range changes {
		if name, value, ok := strings.Cut(change, "="); ok {
			set.Content = append(set.Content, at.scalar(name), at.scalar(value))
		} else {
			remove = append(remove, strings.TrimSuffix(change, "-"))
		}
	}
	var nodes []*yaml.Node
	for _, name := range names {
		n := at.mapping("object", name, "namespace", k.Namespace())
		if len(set.Content) > 0 {
			n.Content = append(n.Content, at.scalar("set"), set)
		}
		if len(remove) > 0 {
			n.Content = append(n.Content, at.scalar("remove"), at.texts(remove))
		}
		nodes = append(nodes, at.mapping("title", c.title, k.Verb, n))
	}
	return nodes, nil
}

// manifest returns what an apply step applies: a text that begins in a line of the
// page, 0 where it does not stand there.
func (m *mapper) manifest(c *command, k *shell.Kubectl, text string, line int) *yaml.Node {
	n := c.at.scalar(text)
	n.Style = yaml.LiteralStyle
	if line > 0 {
		n = block(text, line)
	}
	if k.Namespace() == "" {
		return n
	}
	return c.at.mapping("manifest", n, "namespace", k.Namespace())
}

// applied maps kubectl apply, create -f and replace -f.
func (m *mapper) applied(c *command, stmt *syntax.Stmt, k *shell.Kubectl, words []word) ([]*yaml.Node, error) {
	if k.Verb == "create" && len(k.Args) > 0 {
		return nil, cannot("", "kubectl create %s is not known here", k.Args[0])
	}
	if k.Flag("kustomize") != "" {
		if strings.Contains(k.Flag("kustomize"), "kubernetes-sigs/gateway-api/config/crd") {
			return m.gatewayAPI(c)
		}
		return nil, cannot("", "a kustomization is not read here")
	}
	if f := k.Flag("output"); f != "" && f != "yaml" && f != "name" {
		return nil, cannot("", "kubectl %s -o %s is not known here", k.Verb, f)
	}
	files := k.All("filename")
	if len(files) == 0 {
		return nil, cannot("", "kubectl %s without -f", k.Verb)
	}
	var nodes []*yaml.Node
	for _, list := range files {
		for _, file := range strings.Split(list, ",") {
			n, err := m.appliedFile(c, stmt, k, file, words)
			if err != nil {
				return nil, err
			}
			nodes = append(nodes, n...)
		}
	}
	return nodes, nil
}

// appliedFile maps apply of one file.
func (m *mapper) appliedFile(c *command, stmt *syntax.Stmt, k *shell.Kubectl, file string, words []word) ([]*yaml.Node, error) {
	step := func(n *yaml.Node) []*yaml.Node {
		return []*yaml.Node{c.at.mapping("title", c.title, "apply", n)}
	}
	if g := mark.FindStringSubmatch(file); g != nil {
		i, _ := strconv.Atoi(g[1])
		return m.injected(c, stmt, k, words[i])
	}
	if file == "-" {
		doc := hereDocument(stmt)
		if doc == nil {
			return nil, cannot("", "kubectl %s -f - reads nothing", k.Verb)
		}
		text, ok := document(doc)
		if !ok {
			return nil, cannot("put it in a variable first: export NAME=$(...)", "a $(...) stands in the manifest")
		}
		if isOperator(text) {
			return m.appliedOperator(c, text)
		}
		return step(m.manifest(c, k, text, m.lineOf(c, doc))), nil
	}
	if strings.Contains(file, "gateway-api") && strings.HasPrefix(file, "https://") {
		return m.gatewayAPI(c)
	}
	if nodes := m.mustBeThere(c, file); nodes != nil {
		return nodes, nil
	}
	if m.addon(c, file) {
		return nil, nil
	}
	if files := m.filesIn(file, k.Is("recursive")); len(files) > 0 {
		return step(c.at.mapping("files", c.at.texts(files), "namespace", k.Namespace())), nil
	}
	m.lastApply = baseOf(file)
	text, line, path, err := m.find(c, file)
	if err != nil {
		return nil, err
	}
	if path == "" {
		if isOperator(text) {
			return m.appliedOperator(c, text)
		}
		return step(m.manifest(c, k, text, line)), nil
	}
	if data, err := m.readFile(path); err == nil && isOperator(string(data)) {
		return m.appliedOperator(c, string(data))
	}
	return step(c.at.mapping("files", c.at.texts([]string{path}), "namespace", k.Namespace())), nil
}

// gatewayAPI takes the kinds of the Gateway API as there.
func (m *mapper) gatewayAPI(c *command) ([]*yaml.Node, error) {
	m.require("gatewayAPI")
	m.note(c.at, false, "not run: the kinds of the Gateway API must be there already")
	return nil, nil
}

// orGatewayAPI reports whether a command installs the kinds of the Gateway API where
// they are not there: kubectl get crd ... || kubectl apply ....
func orGatewayAPI(st *statement, stmt *syntax.Stmt) bool {
	b, ok := stmt.Cmd.(*syntax.BinaryCmd)
	if !ok || b.Op != syntax.OrStmt {
		return false
	}
	text := st.text()
	looks := strings.TrimSpace(text[b.X.Pos().Offset():b.OpPos.Offset()])
	installs := text[b.Y.Pos().Offset():b.Y.End().Offset()]
	return strings.HasPrefix(looks, "kubectl get crd gateways.gateway.networking.k8s.io") && strings.Contains(installs, "kubectl ") && strings.Contains(installs, "/gateway-api/")
}

// hereDocument returns the here-document of a command.
func hereDocument(stmt *syntax.Stmt) *syntax.Redirect {
	for _, r := range stmt.Redirs {
		if r.Op == syntax.Hdoc || r.Op == syntax.DashHdoc {
			return r
		}
	}
	return nil
}

// injected maps apply -f <(istioctl kube-inject -f FILE): another way to the same
// where FILE was applied before, else apply of FILE, whose pods get their sidecar
// by the namespace's label.
func (m *mapper) injected(c *command, stmt *syntax.Stmt, k *shell.Kubectl, w word) ([]*yaml.Node, error) {
	if w.proc == nil || len(w.proc.Stmts) != 1 {
		return nil, cannot("", "this form of -f is not known here")
	}
	call, ok := w.proc.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) < 4 || call.Args[0].Lit() != "istioctl" || call.Args[1].Lit() != "kube-inject" {
		return nil, cannot("", "only <(istioctl kube-inject -f FILE --includeIPRanges=RANGES) is known here")
	}
	texts, _, plain := m.wordsOf(call)
	flags, err := readInjected(texts[2:])
	if err != nil || !plain {
		return nil, cannot("", "only <(istioctl kube-inject -f FILE --includeIPRanges=RANGES) is known here")
	}
	if flags.ranges != "" && m.otherRanges(c, flags.file) {
		m.note(c.at, false, "not run: it is for another platform than line %d", m.lastBypass.line)
		return nil, nil
	}
	if flags.ranges == "" && baseOf(flags.file) == m.lastApply {
		m.note(c.at, false, "not run: another way to what was done before, by injecting the sidecar into %s", baseOf(flags.file))
		return nil, nil
	}
	nodes, err := m.injectedFile(c, stmt, k, flags.file)
	if err != nil || flags.ranges == "" {
		return nodes, err
	}
	m.lastBypass = &bypass{baseOf(flags.file), c.at.line}
	confined, err := m.bypass(c, flags.ranges, m.deploymentsOf(nodes))
	return append(nodes, confined...), err
}

// injectedFile maps apply of a file whose pods istioctl kube-inject gives their
// sidecars: the label of the namespace does it.
func (m *mapper) injectedFile(c *command, stmt *syntax.Stmt, k *shell.Kubectl, file string) ([]*yaml.Node, error) {
	m.note(c.at, false, "the sidecar is injected by the namespace's label")
	nodes, err := m.appliedFile(c, stmt, k, file, nil)
	if err != nil || m.hasInjection(k.Namespace()) {
		return nodes, err
	}
	return append([]*yaml.Node{m.injection(c.at, cmp.Or(k.Namespace(), "${NAMESPACE}"))}, nodes...), nil
}

// hasInjection reports whether a namespace has the label for injection by then:
// the page sets it, or a step before. "" is the run's namespace.
func (m *mapper) hasInjection(namespace string) bool {
	if m.injects[namespace] || namespace == "" && m.builtin {
		return true
	}
	if m.injects == nil {
		m.injects = map[string]bool{}
	}
	m.injects[namespace] = true
	for _, st := range m.statements {
		words := strings.Fields(st.text())
		if slices.Contains(words, "istio-injection=enabled") && (namespace == "" || slices.ContainsFunc(words, func(w string) bool { return w == namespace || strings.HasSuffix(w, "/"+namespace) })) {
			return true
		}
	}
	return false
}

// gone are objects of a namespace.
type gone struct {
	namespace string
	objects   []string
}

// deleted maps kubectl delete.
func (m *mapper) deleted(c *command, stmt *syntax.Stmt, k *shell.Kubectl) ([]*yaml.Node, error) {
	if k.Flag("selector") != "" || k.Is("all") || k.Flag("kustomize") != "" {
		return nil, cannot("name the objects", "kubectl delete by a selector, or of all, is not known here")
	}
	var all []gone
	if files := k.All("filename"); len(files) > 0 {
		if len(k.Args) > 0 {
			return nil, cannot("", "kubectl delete: either files or objects")
		}
		for _, file := range files {
			if m.generated[baseOf(file)] != nil {
				m.note(c.at, false, "not run: what %s has was there before", baseOf(file))
				continue
			}
			if m.addon(c, file) {
				continue
			}
			if files := m.filesIn(file, k.Is("recursive")); len(files) > 0 {
				for _, f := range files {
					list, err := m.objectsIn(c, stmt, k, f)
					if err != nil {
						return nil, err
					}
					all = append(all, list...)
				}
				continue
			}
			list, err := m.objectsIn(c, stmt, k, file)
			if err != nil {
				return nil, err
			}
			all = append(all, list...)
		}
	} else {
		objects, err := objectsOf(k.Args)
		if err != nil {
			return nil, err
		}
		all = append(all, gone{k.Namespace(), objects})
	}
	return m.deletes(c, k, all), nil
}

// deletes returns the steps that delete objects.
func (m *mapper) deletes(c *command, k *shell.Kubectl, all []gone) (nodes []*yaml.Node) {
	for _, g := range all {
		n := c.at.mapping("objects", c.at.texts(g.objects), "namespace", g.namespace)
		if k.Is("ignore-not-found") || c.lax {
			n.Content = append(n.Content, c.at.scalar("ifThere"), c.at.truth())
		}
		nodes = append(nodes, c.at.mapping("title", c.title, "delete", n))
	}
	return nodes
}

// objectsIn returns the objects of a file, by namespace.
func (m *mapper) objectsIn(c *command, stmt *syntax.Stmt, k *shell.Kubectl, file string) ([]gone, error) {
	text := ""
	if mark.MatchString(file) {
		return nil, cannot("", "kubectl delete -f <(...) is not known here")
	}
	if file == "-" {
		doc := hereDocument(stmt)
		if doc == nil {
			return nil, cannot("", "kubectl delete -f - reads nothing")
		}
		var ok bool
		if text, ok = document(doc); !ok {
			return nil, cannot("", "a $(...) stands in the manifest")
		}
	} else {
		found, _, path, err := m.find(c, file)
		if err != nil {
			return nil, err
		}
		if text = found; path != "" {
			data, err := m.readFile(path)
			if err != nil {
				return nil, err
			}
			text = string(data)
		}
	}
	all, err := goneIn(k, text)
	if err != nil {
		return nil, cannot("", "%s: %v", file, err)
	}
	return all, nil
}

// goneIn returns the objects of a manifest, by namespace.
func goneIn(k *shell.Kubectl, text string) (all []gone, err error) {
	docs, err := objectsOfText(text)
	if err != nil {
		return nil, err
	}
	for _, o := range docs {
		ns := k.Namespace()
		if o.namespace != "" {
			ns = o.namespace
		}
		i := slices.IndexFunc(all, func(g gone) bool { return g.namespace == ns })
		if i < 0 {
			all, i = append(all, gone{namespace: ns}), len(all)
		}
		all[i].objects = append(all[i].objects, o.ref())
	}
	return all, nil
}

// made returns the manifest of what kubectl create makes.
func (m *mapper) made(k *shell.Kubectl) (string, error) {
	if len(k.Args) != 1 {
		return "", cannot("", "kubectl %s: want one name", k.Verb)
	}
	if (k.Flag("dry-run") != "" || k.Flag("output") != "") && !isDryRun(k) {
		return "", cannot("", "kubectl %s --dry-run is not known here", k.Verb)
	}
	meta := map[string]any{"name": k.Args[0]}
	o := map[string]any{"apiVersion": "v1", "metadata": meta}
	switch k.Verb {
	case "create namespace":
		o["kind"] = "Namespace"
	case "create serviceaccount":
		o["kind"] = "ServiceAccount"
	case "create configmap":
		data, err := m.data(k)
		if err != nil {
			return "", err
		}
		o["kind"], o["data"] = "ConfigMap", data
	case "create secret generic":
		data, err := m.data(k)
		if err != nil {
			return "", err
		}
		o["kind"], o["stringData"] = "Secret", data
		if t := k.Flag("type"); t != "" {
			o["type"] = t
		}
	case "create secret tls":
		cert, err := m.content(k.Flag("cert"))
		if err != nil {
			return "", err
		}
		key, err := m.content(k.Flag("key"))
		if err != nil {
			return "", err
		}
		o["kind"], o["type"], o["stringData"] = "Secret", "kubernetes.io/tls", map[string]any{"tls.crt": cert, "tls.key": key}
	case "create role", "create clusterrole":
		o["apiVersion"], o["kind"] = "rbac.authorization.k8s.io/v1", "Role"
		if k.Verb == "create clusterrole" {
			o["kind"] = "ClusterRole"
		}
		resources := splitAll(k.All("resource"))
		for i, r := range resources {
			if !slices.Contains([]string{"secret", "secrets", "pod", "pods", "configmap", "configmaps", "service", "services", "endpoints"}, r) {
				return "", cannot("", "kubectl create role: the group of %s is not known here", r)
			}
			if !strings.HasSuffix(r, "s") {
				resources[i] = r + "s"
			}
		}
		rule := map[string]any{"apiGroups": []string{""}, "resources": resources, "verbs": splitAll(k.All("verb"))}
		if names := splitAll(k.All("resource-name")); len(names) > 0 {
			rule["resourceNames"] = names
		}
		o["rules"] = []any{rule}
	case "create rolebinding", "create clusterrolebinding":
		o["apiVersion"], o["kind"] = "rbac.authorization.k8s.io/v1", "RoleBinding"
		if k.Verb == "create clusterrolebinding" {
			o["kind"] = "ClusterRoleBinding"
		}
		kind, name := "Role", k.Flag("role")
		if name == "" {
			kind, name = "ClusterRole", k.Flag("clusterrole")
		}
		o["roleRef"] = map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
		subjects, err := subjectsOf(k)
		if err != nil {
			return "", err
		}
		o["subjects"] = subjects
	case "create deployment":
		var err error
		if o, err = deploymentOf(k); err != nil {
			return "", err
		}
	case "create service clusterip", "create service externalname", "create service nodeport":
		var err error
		if o, err = serviceOf(k); err != nil {
			return "", err
		}
	}
	text, err := yaml.Marshal(o)
	return string(text), err
}

func splitAll(lists []string) (all []string) {
	for _, l := range lists {
		all = append(all, strings.Split(l, ",")...)
	}
	return all
}

// data returns what --from-file and --from-literal say.
func (m *mapper) data(k *shell.Kubectl) (map[string]any, error) {
	data := map[string]any{}
	for _, arg := range k.All("from-literal") {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, cannot("", "--from-literal is NAME=VALUE")
		}
		data[name] = value
	}
	for _, arg := range k.All("from-file") {
		name, file, ok := strings.Cut(arg, "=")
		if !ok {
			file = name
			name = file[strings.LastIndexByte(file, '/')+1:]
		}
		text, err := m.content(file)
		if err != nil {
			return nil, err
		}
		data[name] = text
	}
	return data, nil
}

// content returns the text of a file that the page wrote, or that is beside it.
func (m *mapper) content(file string) (string, error) {
	file = m.written(file)
	if f, ok := m.files[baseOf(file)]; ok {
		return f.text, nil
	}
	if strings.Contains(file, "${") || file == "" {
		return "", cannot("write the name out, or set its variables by export NAME=VALUE on the page", "the name of the file %s is not known before the run", file)
	}
	data, err := m.readFile(m.here(baseOf(file)))
	if err != nil {
		return "", cannot("", "the page has not written the file %s, and there is none beside it", file)
	}
	if !isText(data) {
		return "", cannot("", "the file %s is no text", file)
	}
	return literal(string(data)), nil
}

func isText(data []byte) bool {
	for _, b := range data {
		if b == 0 {
			return false
		}
	}
	return true
}
