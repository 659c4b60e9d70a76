package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// instead has other words by which an explanation may name what was left out, besides
// its kind and its name.
var instead = map[string][]string{
	"labels":         {"istio-injection", "no sidecar", "no namespace has the label"},
	"policy":         {"outboundTrafficPolicy", "ConfigMap istio"},
	"Role":           {"may not list Secrets"},
	"RoleBinding":    {"may not list Secrets"},
	"ServiceAccount": {"serviceaccount", "service account"},
}

// explains reports whether findings name what was left out: the object itself; its
// kind, if no object of that name exists; or for a deletion, the object that still
// exists.
func explains(without string, findings []evidence.Finding) bool {
	kind, name, _ := strings.Cut(strings.TrimPrefix(without, "the "), " ")
	if kind == "deletion" {
		for object := range strings.SplitSeq(strings.TrimPrefix(name, "of "), ", ") {
			of, called, _ := strings.Cut(object, "/")
			if explains(of+" "+called, findings) {
				return true
			}
		}
		return false
	}
	for i := range findings {
		f := &findings[i]
		if f.Unknown {
			continue
		}
		if strings.Contains(f.Cause, kind) || name != "" && strings.Contains(f.Cause, name) {
			return true
		}
		for _, word := range instead[kind] {
			if strings.Contains(f.Cause, word) {
				return true
			}
		}
	}
	return false
}

// said returns the text of findings.
func said(findings []evidence.Finding) string {
	var all []string
	for i := range findings {
		all = append(all, findings[i].Cause)
	}
	if len(all) == 0 {
		return "nothing was said"
	}
	return strings.Join(all, " ")
}

// printExplained prints for how many killed mutants the explanation names what was left
// out, and the explanations of the others.
func printExplained(w io.Writer, results []*result) {
	explained, all := 0, 0
	for _, r := range results {
		if r.Outcome != killed {
			continue
		}
		all++
		if r.Explained {
			explained++
		}
	}
	fmt.Fprintf(w, "%d of %d explanations name what was left out\n", explained, all)
	for _, r := range results {
		if r.Outcome == killed && !r.Explained {
			fmt.Fprintf(w, "not named: %s: %s: without %s: %s\n", r.At, r.Playbook, r.Without, r.Said)
		}
	}
}
