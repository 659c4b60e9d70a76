package steps

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/shell"
)

// A kubectlProgram is kubectl within a script, as far as it looks.
type kubectlProgram struct {
	scope *runner.Scope
	ran   []ran // each command in a pod and each look at a log, in order
	none  error // that the last look at objects with some labels found none; else nil
}

// A ran is what is known of a command in a pod, or of a log that was read, beyond its
// output.
type ran struct {
	read    logRead // what a command in a pod read of a log
	pod     evidence.Pod
	request *evidence.Attempt // see [evidence.Stage]
}

// checkLook returns why a kubectl command cannot stand in a script.
func checkLook(k *shell.Kubectl) error {
	switch k.Verb {
	case "exec":
		_, err := execOf(k)
		return err
	case "logs":
		_, err := logsOf(k)
		return err
	case "get":
		_, err := getOf(k)
		return err
	case "describe":
		if slices.Equal(k.Args, []string{"pod", "kube-apiserver"}) && k.Namespace() == "kube-system" {
			return nil
		}
		return errors.New("kubectl describe is not known here, but for the range of the services' addresses: use kubectl get -o yaml")
	}
	if k.Looks() {
		return fmt.Errorf("kubectl %s is not known here", k.Verb)
	}
	return fmt.Errorf("kubectl %s changes the cluster: make it a step of its own", k.Verb)
}

// run is a [shell.Program].
func (p *kubectlProgram) run(ctx context.Context, argv []string, stdin string) (shell.Result, error) {
	k, err := shell.ParseKubectl(argv)
	if err == nil {
		err = checkLook(k)
	}
	if err != nil {
		return shell.Result{}, err
	}
	switch k.Verb {
	case "exec":
		return p.exec(ctx, k, stdin)
	case "logs":
		return p.logs(ctx, k)
	case "describe":
		return p.serviceRange(ctx)
	}
	return p.get(ctx, k)
}

func (p *kubectlProgram) exec(ctx context.Context, k *shell.Kubectl, stdin string) (shell.Result, error) {
	e, err := execOf(k)
	if err != nil {
		return shell.Result{}, err
	}
	if k.Is("stdin") {
		e.Stdin = stdin
	}
	if e.In.Name == "" {
		return shell.Result{}, p.unnamed("kubectl exec", "pod")
	}
	pod, err := e.Pod(ctx, p.scope)
	if err != nil {
		return shell.Result{}, err
	}
	if err := p.scope.InForce(ctx, pod); err != nil {
		return shell.Result{}, err
	}
	a, err := run(ctx, p.scope.Cluster, pod, e.Argv, e.Stdin)
	if err != nil {
		return shell.Result{}, err
	}
	p.scope.Ran(a)
	read := sinceOf(e.Argv, a.Command.Stdout, lastRequest(p.scope))
	p.ran = append(p.ran, ran{read, a.Command.Pod, p.scope.LastRequest})
	r := shell.Result{Stdout: read.text, Code: *a.Command.ExitCode, Truncated: a.Command.Truncated}
	r.Stderr, r.Last = cutTimes(a.Command.Stderr)
	if r.Code != 0 {
		if r.Stderr != "" && r.Last == "" && !strings.HasSuffix(r.Stderr, "\n") {
			r.Stderr += "\n"
		}
		r.Last += fmt.Sprintf("command terminated with exit code %d\n", r.Code)
	}
	return r, nil
}

// unnamed is the error of a command whose pod or other object has no name, which the
// command within it was to give.
func (p *kubectlProgram) unnamed(command, kind string) error {
	err := fmt.Errorf("%s: the name of the %s is empty", command, kind)
	if p.none != nil {
		return runner.Retryable(fmt.Errorf("%w: %w", err, p.none))
	}
	return err
}

func (p *kubectlProgram) logs(ctx context.Context, k *shell.Kubectl) (shell.Result, error) {
	l, err := logsOf(k)
	if err != nil {
		return shell.Result{}, err
	}
	if l.In.IsZero() {
		return shell.Result{}, p.unnamed("kubectl logs", "pod")
	}
	l.latest = true
	a, err := l.Try(ctx, p.scope)
	if err != nil {
		return shell.Result{}, err
	}
	p.ran = append(p.ran, ran{pod: a.Command.Pod, request: p.scope.LastRequest})
	return shell.Result{Stdout: a.Command.Stdout, Truncated: a.Command.Truncated}, nil
}

// serviceRange prints the one line of the API server's description for which
// tutorials look: its option for the addresses of services.
func (p *kubectlProgram) serviceRange(ctx context.Context) (shell.Result, error) {
	ref, err := p.scope.Cluster.Resolve(ctx, cluster.Ref{Kind: "servicecidr", Name: "kubernetes"}, "")
	if err != nil {
		return failedGet(err)
	}
	obj, err := p.scope.Cluster.Get(ctx, ref)
	if err != nil {
		return failedGet(err)
	}
	ranges, _, err := unstructured.NestedStringSlice(obj.Object, "spec", "cidrs")
	return shell.Result{Stdout: "      --service-cluster-ip-range=" + strings.Join(ranges, ",") + "\n"}, err
}

// A get is a kubectl get.
type get struct {
	kinds    []string
	names    []string
	selector string
	format   string // yaml, json, name, jsonpath
	path     *jsonpath.JSONPath
	lax      bool // --ignore-not-found
	all      bool // of all namespaces
	wide     bool
	labels   bool     // --show-labels
	labelled []string // --label-columns
	bare     bool     // --no-headers
	columns  []customColumn
}

// ofAll are the kinds of kubectl get all, in its order.
var ofAll = []string{
	"pods", "replicationcontrollers", "services", "daemonsets.apps", "deployments.apps", "replicasets.apps", "statefulsets.apps",
	"horizontalpodautoscalers.autoscaling", "cronjobs.batch", "jobs.batch",
}

func getOf(k *shell.Kubectl) (*get, error) {
	for _, flag := range []string{"watch", "field-selector", "sort-by", "filename"} {
		if k.Flag(flag) != "" {
			return nil, fmt.Errorf("kubectl get: --%s is not known here", flag)
		}
	}
	if len(k.Args) == 0 {
		return nil, errors.New("kubectl get: there is no kind of objects")
	}
	g := &get{all: k.Is("all-namespaces"), selector: k.Flag("selector"), lax: k.Is("ignore-not-found"), labels: k.Is("show-labels"), bare: k.Is("no-headers")}
	for _, list := range k.All("label-columns") {
		g.labelled = append(g.labelled, strings.Split(list, ",")...)
	}
	for _, arg := range k.Args {
		if kind, name, ok := strings.Cut(arg, "/"); ok {
			g.kinds, g.names = append(g.kinds, kind), append(g.names, name)
		}
	}
	switch {
	case len(g.names) == len(k.Args):
	case len(g.names) > 0:
		return nil, errors.New("kubectl get: either all objects are KIND/NAME, or none")
	case len(k.Args) == 1:
		g.kinds = strings.Split(k.Args[0], ",")
	default:
		for _, name := range k.Args[1:] {
			g.kinds, g.names = append(g.kinds, k.Args[0]), append(g.names, name)
		}
	}
	switch {
	case len(g.kinds) == 1 && g.kinds[0] == "all" && len(g.names) == 0:
		g.kinds = ofAll
	case slices.Contains(g.kinds, "all"):
		return nil, errors.New("kubectl get: all stands for kinds, beside no other one and without a name")
	}
	format, arg, _ := strings.Cut(k.Flag("output"), "=")
	g.format = format
	switch format {
	case "yaml", "json", "name":
		return g, nil
	case "jsonpath":
		if !strings.HasPrefix(arg, "{") && !strings.Contains(arg, "{") {
			arg = "{" + arg + "}"
		}
		g.path = jsonpath.New("jsonpath").AllowMissingKeys(true)
		if err := g.path.Parse(arg); err != nil {
			return nil, fmt.Errorf("kubectl get: jsonpath %s: %w", arg, err)
		}
		return g, nil
	case "custom-columns":
		var err error
		if g.columns, err = readCustomColumns(arg); err != nil {
			return nil, fmt.Errorf("kubectl get: %w", err)
		}
		return g, nil
	case "", "wide":
		g.format, g.wide = "table", format == "wide"
		return g, nil
	}
	return nil, fmt.Errorf("kubectl get: -o %s is not known here", format)
}

func (p *kubectlProgram) get(ctx context.Context, k *shell.Kubectl) (shell.Result, error) {
	g, err := getOf(k)
	if err != nil {
		return shell.Result{}, err
	}
	if i := slices.Index(g.names, ""); i >= 0 {
		return shell.Result{}, p.unnamed("kubectl get", g.kinds[i])
	}
	namespace := cmp.Or(k.Namespace(), p.scope.Namespace)
	if g.format == "table" {
		return p.tables(ctx, g, namespace)
	}
	p.none = nil
	var all []*unstructured.Unstructured
	for i, kind := range g.kinds {
		name := ""
		if i < len(g.names) {
			name = g.names[i]
		}
		ref, err := p.scope.Cluster.Resolve(ctx, cluster.Ref{Kind: kind, Name: name}, namespace)
		if err != nil {
			return failedGet(err)
		}
		if name == "" {
			if g.all {
				ref.Namespace = ""
			}
			list, err := p.scope.Cluster.List(ctx, kind, ref.Namespace, g.selector)
			if err != nil {
				return failedGet(err)
			}
			if len(list) == 0 && g.selector != "" && !g.all {
				p.none = fmt.Errorf("there is no %s with the labels %s in namespace %s", kind, g.selector, ref.Namespace)
			}
			for j := range list {
				all = append(all, &list[j])
			}
			continue
		}
		obj, err := p.scope.Cluster.Get(ctx, ref)
		if apierrors.IsNotFound(err) && g.lax {
			continue
		}
		if err != nil {
			return failedGet(err)
		}
		all = append(all, obj)
	}
	return g.print(all, len(g.names) == 1)
}

// tables prints what the server prints of each kind.
func (p *kubectlProgram) tables(ctx context.Context, g *get, namespace string) (shell.Result, error) {
	var texts []string
	var kinds []string
	for i, kind := range g.kinds {
		if i > 0 && len(g.names) > 0 && kind == g.kinds[i-1] {
			continue // it is in the table of that one
		}
		kinds = append(kinds, kind)
	}
	for _, kind := range kinds {
		ref, err := p.scope.Cluster.Resolve(ctx, cluster.Ref{Kind: kind}, namespace)
		if err != nil {
			return failedGet(err)
		}
		if g.all {
			ref.Namespace = ""
		}
		how := printed{wide: g.wide, namespaces: g.all && len(g.names) == 0, labels: g.labels, labelled: g.labelled, bare: g.bare}
		if len(kinds) > 1 {
			prefix, _, _ := strings.Cut(cluster.Ref{APIVersion: ref.APIVersion, Kind: ref.Kind, Name: "x"}.Long(), "/")
			how.prefix = prefix + "/"
		}
		table := new(cluster.Table)
		if len(g.names) == 0 {
			if table, err = p.scope.Cluster.Print(ctx, ref, g.selector); err != nil {
				return failedGet(err)
			}
		}
		for i, name := range g.names {
			if g.kinds[i] != kind {
				continue
			}
			ref.Name = name
			one, err := p.scope.Cluster.Print(ctx, ref, "")
			if apierrors.IsNotFound(err) && g.lax {
				continue
			}
			if err != nil {
				return failedGet(err)
			}
			table.Columns, table.Rows = one.Columns, append(table.Rows, one.Rows...)
		}
		if len(table.Rows) > 0 {
			texts = append(texts, how.table(table))
		}
	}
	if len(texts) == 0 {
		return shell.Result{Stderr: "No resources found in " + namespace + " namespace.\n"}, nil
	}
	return shell.Result{Stdout: strings.Join(texts, "\n")}, nil
}

// failedGet is how kubectl ends where the server says no; an error of another kind
// is none of kubectl's.
func failedGet(err error) (shell.Result, error) {
	if apierrors.IsNotFound(err) {
		return shell.Result{Stderr: "Error from server (NotFound): " + err.Error() + "\n", Code: 1}, nil
	}
	var none *cluster.NoKindError
	if errors.As(err, &none) {
		return shell.Result{Stderr: "error: " + err.Error() + "\n", Code: 1}, nil
	}
	return shell.Result{}, err
}

// print prints objects as kubectl does, tables aside. single is for one that was named.
func (g *get) print(all []*unstructured.Unstructured, single bool) (shell.Result, error) {
	items := make([]any, len(all))
	for i, obj := range all {
		obj = obj.DeepCopy()
		obj.SetManagedFields(nil)
		items[i] = obj.Object
	}
	data := map[string]any{"apiVersion": "v1", "kind": "List", "items": items, "metadata": map[string]any{"resourceVersion": ""}}
	if single && len(all) == 1 {
		data = items[0].(map[string]any)
	}
	var out bytes.Buffer
	switch g.format {
	case "name":
		for _, obj := range all {
			fmt.Fprintln(&out, cluster.RefOf(obj).Long())
		}
	case "jsonpath":
		if err := g.path.Execute(&out, data); err != nil {
			return shell.Result{Stderr: "error: " + err.Error() + "\n", Code: 1}, nil
		}
	case "json":
		text, err := json.MarshalIndent(data, "", "    ")
		if err != nil {
			return shell.Result{}, err
		}
		out.Write(append(text, '\n'))
	case "custom-columns":
		text, err := customTable(g.columns, items, g.bare)
		if err != nil {
			return shell.Result{Stderr: "error: " + err.Error() + "\n", Code: 1}, nil
		}
		out.WriteString(text)
	case "yaml":
		text, err := yaml.Marshal(data)
		if err != nil {
			return shell.Result{}, err
		}
		out.Write(text)
	}
	return shell.Result{Stdout: out.String()}, nil
}
