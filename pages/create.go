package pages

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/shell"
)

// deploymentOf returns the Deployment that kubectl create deployment makes.
func deploymentOf(k *shell.Kubectl) (map[string]any, error) {
	name, images := k.Args[0], k.All("image")
	if len(images) != 1 {
		return nil, cannot("", "kubectl create deployment: want one --image")
	}
	container := map[string]any{"name": imageName(images[0]), "image": images[0]}
	if len(k.Command) > 0 {
		container["command"] = k.Command
	}
	if p := k.Flag("port"); p != "" {
		n, err := strconv.Atoi(p)
		if err != nil {
			return nil, cannot("", "kubectl create deployment: --port is a number")
		}
		container["ports"] = []any{map[string]any{"containerPort": n}}
	}
	replicas := 1
	if r := k.Flag("replicas"); r != "" {
		n, err := strconv.Atoi(r)
		if err != nil {
			return nil, cannot("", "kubectl create deployment: --replicas is a number")
		}
		replicas = n
	}
	labels := map[string]any{"app": name}
	return map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": name, "labels": labels},
		"spec": map[string]any{
			"replicas": replicas, "selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{"containers": []any{container}}},
		},
	}, nil
}

// imageName returns the name that kubectl gives a container: the image's, without
// registry, tag and digest.
func imageName(image string) string {
	name, _, _ := strings.Cut(path.Base(image), "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// serviceOf returns the Service that kubectl create service makes.
func serviceOf(k *shell.Kubectl) (map[string]any, error) {
	name := k.Args[0]
	spec := map[string]any{}
	switch k.Verb {
	case "create service externalname":
		if k.Flag("external-name") == "" {
			return nil, cannot("", "kubectl create service externalname: want --external-name")
		}
		spec["type"], spec["externalName"] = "ExternalName", k.Flag("external-name")
	case "create service nodeport":
		if k.Flag("node-port") != "" {
			return nil, cannot("", "--node-port is not known here")
		}
		spec["type"] = "NodePort"
	}
	if ip := k.Flag("clusterip"); ip != "" {
		spec["clusterIP"] = ip
	}
	var ports []any
	for _, pair := range splitAll(k.All("tcp")) {
		from, to, mapped := strings.Cut(pair, ":")
		if !mapped {
			to = from
		}
		port, err := strconv.Atoi(from)
		if err != nil {
			return nil, cannot("", "--tcp is PORT:TARGET")
		}
		ports = append(ports, map[string]any{"name": strings.ReplaceAll(pair, ":", "-"), "port": port, "protocol": "TCP", "targetPort": intOrText(to)})
	}
	if len(ports) > 0 {
		spec["ports"] = ports
	}
	if k.Verb != "create service externalname" {
		spec["selector"] = map[string]any{"app": name}
	}
	return map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": name, "labels": map[string]any{"app": name}}, "spec": spec}, nil
}

func intOrText(text string) any {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return text
}

// subjectsOf are those to whom kubectl create rolebinding gives a role.
func subjectsOf(k *shell.Kubectl) ([]any, error) {
	var subjects []any
	for _, kind := range []string{"User", "Group"} {
		for _, name := range splitAll(k.All(strings.ToLower(kind))) {
			subjects = append(subjects, map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name})
		}
	}
	for _, sa := range splitAll(k.All("serviceaccount")) {
		ns, name, ok := strings.Cut(sa, ":")
		if !ok {
			return nil, cannot("", "--serviceaccount is NAMESPACE:NAME")
		}
		subjects = append(subjects, map[string]any{"kind": "ServiceAccount", "namespace": ns, "name": name})
	}
	return subjects, nil
}

// An exposable is what a page has made that kubectl expose can make a Service for.
type exposable struct {
	object   string // deployment/NAME or pod/NAME
	labels   map[string]string
	selector map[string]string
}

// mayExpose notes what the page has made, in place of what had its name.
func (m *mapper) mayExpose(e exposable) {
	m.exposables = append(slices.DeleteFunc(m.exposables, func(old exposable) bool { return old.object == e.object }), e)
}

// exposed maps kubectl expose of a Deployment or a pod that the page has made: only then
// is known which pods the Service has.
func (m *mapper) exposed(c *command, k *shell.Kubectl) ([]*yaml.Node, error) {
	object, err := objectOf(k)
	if err != nil {
		return nil, err
	}
	kind, name, _ := strings.Cut(object, "/")
	switch kind {
	case "deploy", "deployments", "deployment.apps":
		kind = "deployment"
	case "po", "pods":
		kind = "pod"
	}
	i := slices.IndexFunc(m.exposables, func(e exposable) bool { return e.object == kind+"/"+name })
	port, err := strconv.Atoi(k.Flag("port"))
	switch {
	case i < 0:
		return nil, cannot("write the Service as a manifest", "kubectl expose is known here for a Deployment or a pod that the page makes")
	case err != nil, isDryRun(k), k.Flag("selector") != "", k.Flag("dry-run") != "":
		return nil, cannot("write the Service as a manifest", "kubectl expose is known here with --port, and with --target-port, --name, --type and --protocol")
	}
	ports := map[string]any{"port": port, "protocol": "TCP", "targetPort": port}
	if p := k.Flag("protocol"); p != "" {
		ports["protocol"] = p
	}
	if t := k.Flag("target-port"); t != "" {
		ports["targetPort"] = intOrText(t)
	}
	spec := map[string]any{"ports": []any{ports}, "selector": m.exposables[i].selector}
	if t := k.Flag("type"); t != "" {
		spec["type"] = t
	}
	meta := map[string]any{"name": name}
	if n := k.Flag("name"); n != "" {
		meta["name"] = n
	}
	if len(m.exposables[i].labels) > 0 {
		meta["labels"] = m.exposables[i].labels
	}
	text, err := yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})
	if err != nil {
		return nil, err
	}
	return []*yaml.Node{c.at.mapping("title", c.title, "apply", m.manifest(c, k, string(text), 0))}, nil
}
