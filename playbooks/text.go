package playbooks

import (
	"bytes"

	"gopkg.in/yaml.v3"
)

// Text returns the playbook that a file is read as, in YAML: of a file that is no
// YAML, what its reader makes of it. The error is an [Errors].
func Text(file string, o Options) (string, error) {
	sources, errs := findIn(builtin, file, o.Readers)
	if len(errs) > 0 {
		return "", errs
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	for _, s := range sources {
		l := &loader{source: s, options: o}
		root, errs := l.read()
		if len(errs) > 0 {
			return "", errs
		}
		if err := enc.Encode(root); err != nil {
			return "", err
		}
	}
	return out.String(), enc.Close()
}
