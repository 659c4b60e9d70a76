package transcript

import (
	"fmt"
	"strings"

	"github.com/egressplay/egressplay/runner"
)

// Clusters are how the playbooks of a run in several clusters ended in each of them.
// In a run in one cluster there are none.
type clusters struct {
	order []string // the contexts
	ended map[string]*runner.Summary
}

// note counts how a playbook ended.
func (c *clusters) note(context string, status runner.Status) {
	if context == "" {
		return
	}
	if c.ended == nil {
		c.ended = map[string]*runner.Summary{}
	}
	if c.ended[context] == nil {
		c.ended[context] = new(runner.Summary)
		c.order = append(c.order, context)
	}
	c.ended[context].Add(status)
}

// several reports whether the run takes place in several clusters.
func (c *clusters) several() bool { return len(c.order) > 0 }

// lead is what stands before the counts of the whole run.
func (c *clusters) lead() string {
	if !c.several() {
		return ""
	}
	return "in " + Count(len(c.order), "cluster", "clusters") + ": "
}

// add writes how the playbooks ended in each cluster, in the words of counts.
func (c *clusters) add(b *block, p palette, width int, counts func(runner.Summary) []string) {
	for _, context := range c.order {
		s := c.ended[context]
		mark, look := p.mark(s.Status())
		text := fmt.Sprintf("%s context %q: %s", mark, context, strings.Join(counts(*s), ", "))
		b.add("  ", look, fold(text, inner(width, 2))...)
	}
}

// inContext returns what stands behind something that took place in one of several
// clusters, "" where there is one.
func inContext(context string) string {
	if context == "" {
		return ""
	}
	return fmt.Sprintf(", in context %q", context)
}
