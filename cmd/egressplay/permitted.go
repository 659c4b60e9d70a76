package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
)

// permitted asks, before anything is touched, whether the user may do all that the
// playbooks need; see [needs]. The error names everything that is missing. What a
// run can do without becomes a note.
func (s *session) permitted(ctx context.Context, p *place) (notes []string, err error) {
	if s.lab.Load() != nil {
		return nil, nil // its user may do everything
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	n := needsOf(s.playbooks, cmp.Or(s.o.namespace, p.client.Namespace()), s.o.istioNamespace, s.o.revision)
	var asked []cluster.Access
	without := map[cluster.Access]string{}
	for _, one := range n.all {
		if one.Made && !changes.IsNamespace(one.Ref.Kind) {
			continue // the user may get these rights with the namespace
		}
		if _, twice := without[one.Access]; !twice {
			asked = append(asked, one.Access)
			without[one.Access] = one.Without
		}
	}
	denied, err := p.client.Denied(ctx, asked)
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return nil, nil // it shows at the first step that may not be done
	}
	if err != nil {
		return nil, err
	}
	missing := map[string][]string{} // by what the run lacks without it
	var order []string
	for _, d := range denied {
		lacks := without[d.Access]
		if missing[lacks] == nil {
			order = append(order, lacks)
		}
		if text := d.String(); !slices.Contains(missing[lacks], text) {
			missing[lacks] = append(missing[lacks], text)
		}
	}
	if needed := missing[""]; len(needed) > 0 {
		return nil, &hinted{
			errors.New("the user of the kubeconfig may not do what the playbooks need:\n  " + strings.Join(needed, "\n  ")),
			"have that user bound to a role with these permissions, which \"egressplay rbac\" prints,\nor name a context whose user has them",
		}
	}
	for _, lacks := range order {
		notes = append(notes, "not permitted: "+strings.Join(missing[lacks], ", ")+". So "+lacks)
	}
	return notes, nil
}
