package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/mesh"
	"github.com/egressplay/egressplay/playbooks/fill"
	"github.com/egressplay/egressplay/runner"
)

// connectTimeout bounds each question that is asked before a run begins.
const connectTimeout = 15 * time.Second

// A place is where a run takes place.
type place struct {
	client *cluster.Client
	target runner.Target
	// lab is the path of egressplay-lab where it keeps, on this machine, the
	// lab that is used.
	lab string
	// rootNamespace is that of the mesh, "" where it is Istio's or not known.
	rootNamespace string
}

// connect returns the place that the flags choose. Without any it is the lab:
// neither KUBECONFIG nor a current context is used unasked.
func (s *session) connect(ctx context.Context) (*place, error) {
	if s.o.context != "" || s.o.kubeconfig != "" {
		p, err := s.connectTo(ctx, cluster.Options{Context: s.o.context, Kubeconfig: s.o.kubeconfig})
		if err == nil && p.target.Lab {
			p.lab = keeper(ctx, p.target.Name, p.client.Server())
		}
		return p, named(s.o.context, err)
	}
	lab, err := findLab()
	if err != nil {
		return nil, err
	}
	running, err := runningLab(ctx, lab, cmp.Or(s.o.labName, "default"))
	if err != nil {
		return nil, err
	}
	if running != nil {
		p, err := s.connectTo(ctx, cluster.Options{Kubeconfig: running.Kubeconfig})
		if err == nil {
			p.target.Describe, p.lab = fmt.Sprintf("lab %q", p.target.Name)+running.unready(), lab
		}
		return p, err
	}
	if s.o.labName != "" {
		if near := fill.DidYouMean(s.o.labName, runningLabs(ctx, lab)); near != "" {
			return nil, usagef(near, "there is no running lab %q", s.o.labName)
		}
		return nil, &hinted{fmt.Errorf("there is no running lab %q", s.o.labName), "start it: egressplay lab up --name " + s.o.labName}
	}
	if s.standing {
		return nil, usagef("name a cluster: --context, or --kubeconfig", "no lab is running, so there is nothing to clean up in one")
	}
	if s.o.keep {
		return nil, usagef("start one that stays: egressplay lab up",
			"--keep keeps nothing: no lab is running, and one that is started for the run goes with it")
	}

	started := time.Now()
	s.wait("starting a lab")
	own, kubeconfig, err := startLab(ctx, lab, func(what string) { s.wait("starting a lab  " + what) })
	if err != nil {
		return nil, err
	}
	s.lab.Store(own)
	p, err := s.connectTo(ctx, cluster.Options{Kubeconfig: kubeconfig})
	if err == nil {
		p.target.Describe, p.lab = fmt.Sprintf("a lab of its own, started in %.1fs", time.Since(started).Seconds()), lab
	}
	return p, err
}

// connectTo returns the place that is a cluster, once that has answered.
func (s *session) connectTo(ctx context.Context, o cluster.Options) (*place, error) {
	o.UserAgent = "egressplay/" + version
	client, err := cluster.New(o)
	if err != nil {
		return nil, err
	}
	s.wait("connecting to " + client.Server())
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	kubernetes, err := client.Check(ctx)
	if err != nil {
		return nil, err
	}
	name, labVersion, isLab, err := client.LabName(ctx)
	if err != nil {
		return nil, err
	}

	p := &place{client: client}
	p.target = runner.Target{
		Name:     client.Context(),
		Describe: fmt.Sprintf("the cluster of context %q (%s)", client.Context(), client.Server()),
		Versions: map[string]string{},
	}
	if isLab {
		p.target.Lab = true
		p.target.Name = cmp.Or(name, client.Context())
		p.target.Describe = fmt.Sprintf("lab %q (context %q)", p.target.Name, client.Context())
		if labVersion != "" && labVersion != version {
			return nil, &hinted{
				fmt.Errorf("lab %q is of version %s, but this is egressplay %s", p.target.Name, labVersion, version),
				fmt.Sprintf("start it anew: egressplay lab down --name %s, then egressplay lab up --name %[1]s", p.target.Name),
			}
		}
		if versions, err := labVersions(ctx); err == nil { // a lab may be another machine's
			maps.Copy(p.target.Versions, versions)
		}
	} else if v := istioVersion(ctx, client, s.o.istioNamespace); v != "" {
		p.target.Versions["istio"] = v
	}
	p.rootNamespace = mesh.RootNamespace(ctx, client, s.o.istioNamespace, s.o.revision)
	p.target.Versions["egressplay"], p.target.Versions["kubernetes"] = version, kubernetes
	return p, nil
}

// istioVersion returns the tag of istiod's image, "" where it cannot be told.
func istioVersion(ctx context.Context, c cluster.Interface, namespace string) string {
	pods, err := c.List(ctx, "pods", namespace, "app=istiod")
	if err != nil {
		return "" // the steps that need istiod will say what is wrong
	}
	for _, pod := range pods {
		containers, _, _ := unstructured.NestedSlice(pod.Object, "spec", "containers")
		for _, c := range containers {
			if c, ok := c.(map[string]any); ok && c["name"] == "discovery" {
				image, _, _ := strings.Cut(fmt.Sprint(c["image"]), "@")
				if _, tag, ok := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":"); ok {
					return tag
				}
			}
		}
	}
	return ""
}

// keeper returns the path of egressplay-lab where it keeps, on this machine, the
// lab with that name at that server; else "".
func keeper(ctx context.Context, name, server string) string {
	lab, err := findLab()
	if err != nil {
		return "" // the lab is another machine's
	}
	running, err := runningLab(ctx, lab, name)
	if err != nil || running == nil {
		return ""
	}
	client, err := cluster.New(cluster.Options{Kubeconfig: running.Kubeconfig})
	if err != nil || client.Server() != server {
		return ""
	}
	return lab
}
