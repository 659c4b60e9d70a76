package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/egressplay/egressplay/lab/cri"
)

// Programs are the files from which a lab runs, as absolute paths.
type Programs struct {
	Self       string // egressplay-lab
	Components string // egressplay-components
	Etcd       string // egressplay-etcd
	Istiod     string // egressplay-istiod
	Agent      string // egressplay-agent
	CoreDNS    string // egressplay-coredns
	Envoy      string // egressplay-envoy

	GatewayAPI string // egressplay-gateway-api.yaml: the kinds of the Gateway API
	Images     string // the folder images, which need not exist
}

// FindPrograms looks for the files beside the running program, then in
// ../libexec/egressplay from there, then on PATH. Its error names each file that it did
// not find.
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
	p := Programs{Self: self, Images: filepath.Join(dir, "images")}
	if other := filepath.Join(folders[1], "images"); !isFolder(p.Images) && isFolder(other) {
		p.Images = other
	}
	var errs []error
	for name, path := range map[string]*string{
		"egressplay-components": &p.Components,
		"egressplay-etcd":       &p.Etcd,
		"egressplay-istiod":     &p.Istiod,
		"egressplay-agent":      &p.Agent,
		"egressplay-coredns":    &p.CoreDNS,
		"egressplay-envoy":      &p.Envoy,

		"egressplay-gateway-api.yaml": &p.GatewayAPI,
	} {
		if *path, err = find(name, folders); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Programs{}, fmt.Errorf("%w\nthe lab's files belong beside %s: `make build` puts them there", err, self)
	}
	return p, nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func find(name string, folders []string) (string, error) {
	for _, folder := range append(folders, filepath.SplitList(os.Getenv("PATH"))...) {
		path := filepath.Join(folder, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return filepath.Abs(path)
		}
	}
	return "", fmt.Errorf("no %s in %s, in %s or on PATH", name, folders[0], folders[1])
}

// images returns the pods' images; bootstrap is the path of Istio's template.
func (p Programs) images(bootstrap string) []cri.Image {
	return cri.Images(cri.ImagePaths{
		Istiod:    p.Istiod,
		Agent:     p.Agent,
		Envoy:     p.Envoy,
		Bootstrap: bootstrap,
		CoreDNS:   p.CoreDNS,
		HTTPBin:   p.Self,
		Nginx:     filepath.Join(p.Images, "nginx"),
		Squid:     filepath.Join(p.Images, "squid"),
	})
}
