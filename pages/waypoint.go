package pages

import (
	"cmp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// waypoint maps istioctl waypoint apply to the Gateway that it makes, with the label of the
// namespace that goes through it, and istioctl waypoint delete to its deletion.
func (m *mapper) waypoint(c *command, args []string) ([]*yaml.Node, bool, error) {
	if len(args) == 0 || args[0] != "apply" && args[0] != "delete" || len(c.stages) > 1 {
		return nil, false, cannot("use kubectl get gateways.gateway.networking.k8s.io", "istioctl waypoint is known here as apply and delete")
	}
	verb, names := args[0], []string(nil)
	flags := map[string]string{}
	for i := 1; i < len(args); i++ {
		name, value, given := strings.Cut(args[i], "=")
		switch {
		case !strings.HasPrefix(args[i], "-"):
			names = append(names, args[i])
		case slices.Contains([]string{"--enroll-namespace", "--overwrite", "--wait", "-w"}, name):
			if name == "-w" {
				name = "--wait"
			}
			flags[name] = "true"
		case slices.Contains([]string{"-n", "--namespace", "--name", "--for"}, name) && (given || i+1 < len(args)):
			if !given {
				i++
				value = args[i]
			}
			if name == "-n" {
				name = "--namespace"
			}
			flags[name] = value
		default:
			return nil, false, cannot("", "istioctl waypoint %s with %s is not known here", verb, args[i])
		}
	}
	namespace, name := flags["--namespace"], cmp.Or(flags["--name"], "waypoint")
	if verb == "delete" && len(names) == 1 {
		name, names = names[0], nil
	}
	if len(names) > 0 {
		return nil, false, cannot("", "istioctl waypoint %s is known here for one waypoint", verb)
	}
	if verb == "delete" {
		return []*yaml.Node{c.at.mapping("title", c.title, "delete", c.at.mapping("objects", c.at.texts([]string{"gateways.gateway.networking.k8s.io/" + name}), "namespace", namespace))}, true, nil
	}
	if !onlyWaypointLines(c.st.shown) {
		return nil, false, cannot("", "the page shows of istioctl waypoint apply what it does not print")
	}
	m.require("gatewayAPI")
	manifest := "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata:\n  name: " + name + "\n"
	if of := flags["--for"]; of != "" {
		manifest += "  labels: {istio.io/waypoint-for: " + of + "}\n"
	}
	manifest += "spec:\n  gatewayClassName: istio-waypoint\n  listeners:\n  - {name: mesh, port: 15008, protocol: HBONE}\n"
	n := c.at.scalar(manifest)
	n.Style = yaml.LiteralStyle
	if namespace != "" {
		n = c.at.mapping("manifest", n, "namespace", namespace)
	}
	nodes := []*yaml.Node{c.at.mapping("title", c.title, "apply", n)}
	if flags["--wait"] != "" {
		nodes = append(nodes, c.at.mapping("title", c.title, "wait", c.at.mapping("object", "deployment/"+name, "namespace", namespace, "for", "rollout")))
	}
	if flags["--enroll-namespace"] != "" {
		nodes = append(nodes, c.at.mapping("title", c.title, "label",
			c.at.mapping("object", "namespace/"+cmp.Or(namespace, "${NAMESPACE}"), "set", c.at.mapping("istio.io/use-waypoint", name))))
	}
	return nodes, true, nil
}

// onlyWaypointLines reports whether the page shows what istioctl says of a waypoint that
// it has applied.
func onlyWaypointLines(shown []line) bool {
	return !slices.ContainsFunc(shown, func(l line) bool {
		t := strings.TrimSpace(l.text)
		return t != "" && !strings.HasPrefix(t, "✅ ") && !strings.HasPrefix(t, "waypoint ") && !strings.HasPrefix(t, "namespace ")
	})
}
