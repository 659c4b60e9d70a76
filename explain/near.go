package explain

import (
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/nearest"
)

// slip reports whether a host is probably a slip of another: one of its labels is a
// letter or two off, a dot is missing, or www is.
func slip(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if a == b || strings.HasPrefix(b, "*") || a == "" || b == "" {
		return false
	}
	if a == "www."+b || b == "www."+a {
		return true
	}
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	if len(x) != len(y) {
		return strings.ReplaceAll(a, ".", "") == strings.ReplaceAll(b, ".", "")
	}
	off := 0
	for i := range x {
		if x[i] == y[i] {
			continue
		}
		off++
		most := 1
		if len(x[i]) > 4 {
			most = 2
		}
		if !nearest.Within(x[i], y[i], most) {
			return false
		}
	}
	return off == 1
}

// domain returns the last two labels of a host.
func domain(host string) string {
	labels := strings.Split(strings.TrimPrefix(strings.ToLower(host), "*."), ".")
	return strings.Join(labels[max(0, len(labels)-2):], ".")
}

// changed reports whether this run has changed an object.
func (c *facts) changed(o object) bool {
	return slices.ContainsFunc(c.Changes, func(ch evidence.Change) bool {
		return ch.Kind == o.GetKind() && ch.Name == o.GetName() && ch.Namespace == o.GetNamespace()
	})
}
