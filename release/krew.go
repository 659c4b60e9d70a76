package main

import (
	"io"
	"path/filepath"

	"gopkg.in/yaml.v3"
)

// A krewPlugin is a manifest with which krew installs a plugin of kubectl.
type krewPlugin struct {
	APIVersion string            `yaml:"apiVersion"`
	Kind       string            `yaml:"kind"`
	Metadata   map[string]string `yaml:"metadata"`
	Spec       krewSpec          `yaml:"spec"`
}

type krewSpec struct {
	Version          string         `yaml:"version"`
	Homepage         string         `yaml:"homepage"`
	ShortDescription string         `yaml:"shortDescription"`
	Description      string         `yaml:"description"`
	Caveats          string         `yaml:"caveats"`
	Platforms        []krewPlatform `yaml:"platforms"`
}

type krewPlatform struct {
	Selector krewSelector `yaml:"selector"`
	URI      string       `yaml:"uri"`
	SHA256   string       `yaml:"sha256"`
	Files    []krewFile   `yaml:"files"`
	Bin      string       `yaml:"bin"`
}

type krewSelector struct {
	MatchLabels map[string]string `yaml:"matchLabels"`
}

type krewFile struct {
	From string `yaml:"from"`
	To   string `yaml:"to"`
}

// krew writes the manifest for the archives that have only the program.
func (r *release) krew(files []asset) error {
	plugin := krewPlugin{
		APIVersion: "krew.googlecontainertools.github.com/v1alpha2",
		Kind:       "Plugin",
		Metadata:   map[string]string{"name": "egressplay"},
		Spec: krewSpec{
			Version:          r.version,
			Homepage:         "https://github.com/egressplay/egressplay",
			ShortDescription: "Run Istio's egress tutorials and say what holds",
			Description: "Runs playbooks that mirror the steps of Istio's egress tutorials against a cluster,\n" +
				"and says of each step whether it did what the tutorial claims.\n",
			Caveats: "Name a cluster that has Istio: kubectl egressplay run tls-origination --context NAME.\n" +
				"The lab, a cluster of its own, is not in this plugin: see docs/install.md.\n",
		},
	}
	for _, f := range files {
		if f.kind != plain {
			continue
		}
		sum, err := checksum(f.path)
		if err != nil {
			return err
		}
		plugin.Spec.Platforms = append(plugin.Spec.Platforms, krewPlatform{
			Selector: krewSelector{map[string]string{"os": f.os, "arch": f.arch}},
			URI:      r.url + "/" + filepath.Base(f.path),
			SHA256:   sum,
			Files: []krewFile{
				{f.top + "/bin/egressplay" + f.exe(), "."},
				{f.top + "/share/doc/egressplay/*", "."},
			},
			Bin: "egressplay" + f.exe(),
		})
	}
	return toFile(filepath.Join(r.out, "egressplay.yaml"), func(w io.Writer) error {
		e := yaml.NewEncoder(w)
		e.SetIndent(2)
		return e.Encode(plugin)
	})
}
