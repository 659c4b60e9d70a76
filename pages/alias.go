package pages

import (
	"regexp"
	"strings"
)

// alias matches kubectl by another name at the beginning of a command: k, as many
// have it in their shell, and oc, whose verbs of these names are kubectl's.
var alias = regexp.MustCompile(`(^\s*|[|;&(]\s*)(k|oc)\s+((?:(?:-n|--namespace)[ =]\S+\s+)?(?:annotate|apply|create|delete|describe|edit|exec|get|label|logs|patch|port-forward|replace|rollout|run|scale|wait)\b)`)

// aliasAlone matches k with a verb that only kubectl has.
var aliasAlone = regexp.MustCompile(`(^\s*)(k)\s+((?:(?:-n|--namespace)[ =]\S+\s+)?(?:api-resources|api-versions|attach|auth|autoscale|cluster-info|config|cordon|cp|debug|drain|explain|expose|set|taint|top|version)\b)`)

// remoteShell matches oc rsh, which is kubectl exec of what stands behind the pod, or of
// a shell.
var remoteShell = regexp.MustCompile(`^(\s*)oc ((?:(?:-n|--namespace)[ =]\S+ )?)rsh ((?:(?:-[nc]|--namespace|--container)[ =]\S+ |-[tT] )*)([^-\s]\S*)(?: (?:-- )?(.+))?$`)

// ofProject matches oc delete project, whose projects are namespaces.
var ofProject = regexp.MustCompile(`^(\s*)oc delete projects?(?: |/)(.+)$`)

// named writes kubectl for its other names in a line, and returns the first of these
// names; "" for none.
func named(l line) (line, string) {
	if g := remoteShell.FindStringSubmatch(l.text); g != nil && !strings.HasPrefix(g[4], "$(") {
		inner := g[5]
		if inner == "" {
			inner = "/bin/sh"
		}
		text := g[1] + "kubectl " + g[2] + "exec -it " + g[3] + g[4] + " -- " + alias.ReplaceAllString(inner, "${1}kubectl ${3}")
		return line{text, l.line, l.column}, "oc"
	}
	if g := ofProject.FindStringSubmatch(l.text); g != nil {
		return line{g[1] + "kubectl delete namespace " + g[2], l.line, l.column}, "oc"
	}
	for _, re := range []*regexp.Regexp{alias, aliasAlone} {
		if g := re.FindStringSubmatch(l.text); g != nil {
			return line{re.ReplaceAllString(l.text, "${1}kubectl ${3}"), l.line, l.column}, g[2]
		}
	}
	return l, ""
}

// isAliased reports whether a text begins with kubectl by another name.
func isAliased(text string) bool {
	at := alias.FindStringIndex(text)
	return at != nil && at[0] == 0 || aliasAlone.MatchString(text) || remoteShell.MatchString(text) || ofProject.MatchString(text)
}
