package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/mesh"
)

// permitted asks, before anything is touched, whether all may be done that the
// playbooks are going to do to objects, and what putting them back needs. What is
// missing is told in one error.
func (s *session) permitted(ctx context.Context, p *place) error {
	if s.lab.Load() != nil {
		return nil // its user may do everything
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	denied, err := p.client.Denied(ctx, s.accesses(p))
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return nil // it shows at the first step that may not be done
	}
	if err != nil {
		return err
	}
	var missing []string
	for _, d := range denied {
		if text := d.String(); !slices.Contains(missing, text) {
			missing = append(missing, text)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &hinted{
		errors.New("the user of the kubeconfig may not do what the playbooks need:\n  " + strings.Join(missing, "\n  ")),
		"have that user bound to a role with these permissions, or name a context whose user has them",
	}
}

// accesses returns what the playbooks are going to do to objects, each once, as
// far as it is known before the run: not what is in a namespace that the run itself
// makes, where it may get rights that it does not have yet.
func (s *session) accesses(p *place) (all []cluster.Access) {
	namespace := cmp.Or(s.o.namespace, p.client.Namespace())
	add := func(t changes.Target, verbs ...string) {
		for _, verb := range verbs {
			if a := (cluster.Access{Verb: verb, Ref: t.Ref}); !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	for _, playbook := range s.playbooks {
		made := map[string]bool{}
		for i := range playbook.Steps {
			for _, t := range playbook.Steps[i].Targets {
				if t.Mesh {
					t.Ref.Namespace, t.Ref.Name = s.o.istioNamespace, mesh.ConfigMapName(s.o.revision)
				}
				t.Ref.Namespace = cmp.Or(t.Ref.Namespace, namespace)
				if strings.Contains(fmt.Sprint(t.Ref), "${") || made[t.Ref.Namespace] {
					continue
				}
				switch {
				case t.Makes:
					add(t, "get", "create", "patch", "update", "delete")
				case t.Deletes:
					add(t, "get", "delete", "create", "update")
				default:
					add(t, "get", "patch", "update")
				}
				if t.Makes && t.Ref.Kind == "Namespace" {
					made[t.Ref.Name] = true
				}
			}
		}
	}
	return all
}
