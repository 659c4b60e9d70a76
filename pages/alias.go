package pages

import "regexp"

// alias matches kubectl by another name at the beginning of a command: k, as many
// have it in their shell, and oc, whose verbs of these names are kubectl's.
var alias = regexp.MustCompile(`(^\s*|[|;&(]\s*)(k|oc) ((?:(?:-n|--namespace)[ =]\S+ )?(?:annotate|apply|create|delete|describe|exec|get|label|logs|patch|replace|rollout|run|scale|wait)\b)`)

// named writes kubectl for its other names in a line, and returns the first of these
// names; "" for none.
func named(l line) (line, string) {
	g := alias.FindStringSubmatch(l.text)
	if g == nil {
		return l, ""
	}
	return line{alias.ReplaceAllString(l.text, "${1}kubectl ${3}"), l.line, l.column}, g[2]
}

// isAliased reports whether a text begins with kubectl by another name.
func isAliased(text string) bool {
	at := alias.FindStringIndex(text)
	return at != nil && at[0] == 0
}
