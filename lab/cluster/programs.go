package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/egressplay/egressplay/lab/cri"
)

// Programs are the files a lab is run from, as absolute paths.
type Programs struct {
	Self       string // egressplay-lab
	Components string // egressplay-components
	Etcd       string // egressplay-etcd
	Istiod     string // egressplay-istiod
	Agent      string // egressplay-agent
	CoreDNS    string // egressplay-coredns
	Envoy      string // egressplay-envoy
}

// FindPrograms looks for the programs beside the running one, then in
// ../libexec/egressplay from there, then on PATH. Its error names each that it
// did not find.
func FindPrograms() (Programs, error) {
	self, err := os.Executable()
	if err != nil {
		return Programs{}, fmt.Errorf("find this program's own file: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return Programs{}, fmt.Errorf("find this program's own file: %w", err)
	}
	dir := filepath.Dir(self)
	folders := []string{dir, filepath.Join(filepath.Dir(dir), "libexec", "egressplay")}
	p := Programs{Self: self}
	var errs []error
	for name, path := range map[string]*string{
		"egressplay-components": &p.Components,
		"egressplay-etcd":       &p.Etcd,
		"egressplay-istiod":     &p.Istiod,
		"egressplay-agent":      &p.Agent,
		"egressplay-coredns":    &p.CoreDNS,
		"egressplay-envoy":      &p.Envoy,
	} {
		if *path, err = find(name, folders); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Programs{}, fmt.Errorf("%w\nthe lab's programs belong beside %s: `make build` puts them there", err, self)
	}
	return p, nil
}

func find(name string, folders []string) (string, error) {
	for _, folder := range folders {
		path := filepath.Join(folder, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("no program %s in %s, in %s or on PATH", name, folders[0], folders[1])
	}
	return filepath.Abs(path)
}

// images are the files of the pods' images; bootstrap is Istio's template.
func (p Programs) images(bootstrap string) []cri.Image {
	return cri.Images(cri.ImagePaths{
		Istiod:    p.Istiod,
		Agent:     p.Agent,
		Envoy:     p.Envoy,
		Bootstrap: bootstrap,
		CoreDNS:   p.CoreDNS,
	})
}
