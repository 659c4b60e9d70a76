package cluster

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/egressplay/egressplay/lab/internet"
	"github.com/egressplay/egressplay/lab/istio"
)

// LabConfigMap is the ConfigMap in the namespace kube-public by which a client
// recognises the cluster of a lab; its data has name, version, and the names of the
// hosts of its internet, with blanks between them.
const LabConfigMap = "egressplay-lab"

//go:embed manifests/coredns.yaml
var corednsManifest []byte

//go:embed manifests/node.yaml
var nodeManifest []byte

//go:embed manifests/Corefile
var corefile string

// own returns the objects that a lab has besides Istio's.
func own(name, version string, hosts []internet.Host) ([]*unstructured.Unstructured, error) {
	var names []string
	for i := range hosts {
		names = append(names, hosts[i].Names...)
	}
	objects := []*unstructured.Unstructured{
		object("v1", "Namespace", "", istio.Namespace, nil),
		object("v1", "ConfigMap", "kube-public", LabConfigMap, map[string]any{"name": name, "version": version, "hosts": strings.Join(names, " ")}),
		object("v1", "ConfigMap", "kube-system", "coredns", map[string]any{"Corefile": corefile}),
	}
	for _, manifest := range [][]byte{nodeManifest, corednsManifest} {
		more, err := decode(bytes.NewReader(manifest))
		if err != nil {
			return nil, err
		}
		objects = append(objects, more...)
	}
	return objects, nil
}

func object(version, kind, namespace, name string, data map[string]any) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": version, "kind": kind}}
	o.SetName(name)
	o.SetNamespace(namespace)
	if data != nil {
		o.Object["data"] = data
	}
	return o
}

// render renders Istio's charts, which takes half a second.
func render(ctx context.Context, istiod, log string) ([]*unstructured.Unstructured, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, istiod, "manifest", "-")
	cmd.Stdin = bytes.NewReader(istio.Operator)
	cmd.Stdout = &out
	cmd.Stderr = file
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("render Istio's charts: %w; see %s", err, log)
	}
	objects, err := decode(&out)
	if err != nil {
		return nil, fmt.Errorf("render Istio's charts: %w", err)
	}
	return objects, nil
}

// decode reads objects from JSON or from YAML documents.
func decode(r io.Reader) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(r, 4<<10)
	for {
		var content json.RawMessage
		err := decoder.Decode(&content)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		o := new(unstructured.Unstructured)
		if err := o.UnmarshalJSON(content); err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
}

// applyAll applies objects, many at the same time: namespaces first, Deployments last,
// so that no pod waits for what it mounts.
func (a *api) applyAll(ctx context.Context, objects []*unstructured.Unstructured) error {
	const atOnce = 8
	namespaces, others := split(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == "Namespace" })
	deployments, others := split(others, func(o *unstructured.Unstructured) bool { return o.GetKind() == "Deployment" })
	for _, turn := range [][]*unstructured.Unstructured{namespaces, others, deployments} {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(atOnce)
		for _, o := range turn {
			group.Go(func() error { return a.apply(ctx, o) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// isGateway reports whether an object is the egress gateway's Deployment.
func isGateway(o *unstructured.Unstructured) bool {
	return o.GetKind() == "Deployment" && o.GetName() == EgressGateway
}

func split(objects []*unstructured.Unstructured, is func(*unstructured.Unstructured) bool) (those, others []*unstructured.Unstructured) {
	for _, o := range objects {
		if is(o) {
			those = append(those, o)
		} else {
			others = append(others, o)
		}
	}
	return those, others
}
