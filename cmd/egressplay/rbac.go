package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/runner"
)

// rbacOptions are the flags of rbac.
type rbacOptions struct {
	runOptions
	name                    string
	users, groups, accounts []string
}

func newRBAC() *cobra.Command {
	var o rbacOptions
	cmd := &cobra.Command{
		Use:   "rbac PLAYBOOK...",
		Short: "Print the least roles with which playbooks can be run",
		Long: `Prints the least roles with which playbooks can be run and put back, as manifests for
kubectl apply. With --serviceaccount, --user or --group it also prints the bindings.

It needs no cluster. Only for playbooks with kinds that are neither of Kubernetes nor of
Istio or the Gateway API, --context names a cluster that has them.

A run asks before its first step whether its user has these permissions. It does not begin
without those that it needs, and says what is lost without the others.`,
		Example: `  egressplay rbac tls-origination --serviceaccount default:trainee | kubectl apply -f -
  egressplay rbac mine.yaml --namespace test --user ann`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.all && len(args) > 0 {
				return usagef("leave out --all, or the names", "--all means every built-in playbook, and %q names one", args[0])
			}
			if o.all {
				return nil
			}
			return atLeastOne("a playbook", `"egressplay list" shows the built-in ones`)(cmd, args)
		},
		ValidArgsFunction: completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.all {
				args = builtins()
			}
			return rbac(cmd.Context(), cmd.OutOrStdout(), &o, args)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.all, "all", false, "the roles for every built-in playbook")
	f.StringVar(&o.name, "name", "egressplay", "the name of the roles and the bindings")
	f.StringArrayVar(&o.accounts, "serviceaccount", nil, "also bind the roles to this `NAMESPACE:NAME`")
	f.StringArrayVar(&o.users, "user", nil, "also bind the roles to this user")
	f.StringArrayVar(&o.groups, "group", nil, "also bind the roles to this group")
	addPlace(cmd, &o.runOptions)
	addContext(cmd, &o.runOptions)
	f.StringVar(&o.revision, "revision", "", "istiod's revision, if it has one")
	addSet(cmd, &o.set, &o.setSecret)
	return cmd
}

// A scope is where a rule holds: in one namespace, or "" in the whole cluster.
type scope string

// A granted is what a rule allows of one resource.
type granted struct {
	group, resource string
	verbs           map[string][]string // the names of objects by verb, none for all
}

// rbac prints the roles for playbooks.
func rbac(ctx context.Context, w io.Writer, o *rbacOptions, args []string) error {
	subjects, err := o.subjects()
	if err != nil {
		return err
	}
	if o.setSecret, o.secrets, err = readSecrets(o.setSecret); err != nil {
		return err
	}
	resource := func(ref cluster.Ref) (cluster.Resource, error) { return cluster.KnownResource(ref) }
	namespace := cmp.Or(o.namespace, "default")
	if o.context != "" || o.kubeconfig != "" {
		client, err := cluster.New(cluster.Options{Context: o.context, Kubeconfig: o.kubeconfig, UserAgent: "egressplay/" + version})
		if err != nil {
			return named(o.context, err)
		}
		namespace = cmp.Or(o.namespace, client.Namespace())
		resource = func(ref cluster.Ref) (cluster.Resource, error) {
			r, err := client.Resource(ctx, ref)
			if _, noKind := errors.AsType[*cluster.NoKindError](err); noKind {
				return cluster.KnownResource(ref) // a playbook may bring it
			}
			return r, err
		}
	}
	list, err := load(&o.runOptions, args, namespace)
	if err != nil {
		return safe(err, o.secrets)
	}
	n := needsOf(list, namespace, o.istioNamespace, o.revision)
	roles, err := rolesOf(n, resource)
	if err != nil {
		if _, noKind := errors.AsType[*cluster.NoKindError](err); noKind {
			err = &hinted{err, "name a cluster that has this kind: --context"}
		}
		return err
	}
	var names []string
	for _, p := range list {
		names = append(names, runner.Plain(p.Name))
	}
	return writeRoles(w, o, names, n.unknown, roles, subjects)
}

// rolesOf returns what is to be granted, by where it is.
func rolesOf(n *needs, resource func(cluster.Ref) (cluster.Resource, error)) (map[scope][]*granted, error) {
	roles := map[scope][]*granted{}
	for _, one := range n.all {
		r, err := resource(one.Ref)
		if err != nil {
			return nil, err
		}
		where := scope(one.Ref.Namespace)
		switch {
		case r.Kind == "Namespace" && r.Group == "" && one.Verb != "create" && !one.Made:
			// A request for a namespace is one in it.
			where = scope(one.Ref.Name)
		case !r.Namespaced, one.Made, one.Ref.Namespace == cluster.AllNamespaces:
			where = ""
		}
		name := r.Name
		if one.Subresource != "" {
			name += "/" + one.Subresource
		}
		i := slices.IndexFunc(roles[where], func(g *granted) bool { return g.group == r.Group && g.resource == name })
		if i < 0 {
			i = len(roles[where])
			roles[where] = append(roles[where], &granted{r.Group, name, map[string][]string{}})
		}
		g := roles[where][i]
		names, has := g.verbs[one.Verb]
		switch {
		case one.Ref.Name == "":
			g.verbs[one.Verb] = nil
		case has && names == nil: // all of them already
		case !slices.Contains(names, one.Ref.Name):
			g.verbs[one.Verb] = append(names, one.Ref.Name)
		}
	}
	return roles, nil
}

// A policyRule is a rule of a role.
type policyRule struct {
	APIGroups     []string `yaml:"apiGroups,flow"`
	Resources     []string `yaml:"resources,flow"`
	ResourceNames []string `yaml:"resourceNames,flow,omitempty"`
	Verbs         []string `yaml:"verbs,flow"`
}

// verbOrder is the order in which roles are read best.
var verbOrder = []string{"get", "list", "watch", "create", "update", "patch", "delete"}

// rules returns what is granted as few rules.
func rules(all []*granted) (rules []policyRule) {
	for _, g := range all {
		byNames := map[string][]string{}
		for verb, names := range g.verbs {
			key := strings.Join(slices.Sorted(slices.Values(names)), " ")
			byNames[key] = append(byNames[key], verb)
		}
		for _, key := range slices.Sorted(maps.Keys(byNames)) {
			of := byNames[key]
			slices.SortFunc(of, func(a, b string) int {
				return cmp.Or(cmp.Compare(slices.Index(verbOrder, a), slices.Index(verbOrder, b)), cmp.Compare(a, b))
			})
			rules = append(rules, policyRule{[]string{g.group}, []string{g.resource}, strings.Fields(key), of})
		}
	}
	same := func(a, b policyRule) bool {
		return slices.Equal(a.APIGroups, b.APIGroups) && slices.Equal(a.ResourceNames, b.ResourceNames) && slices.Equal(a.Verbs, b.Verbs)
	}
	var merged []policyRule
	for _, r := range rules {
		if i := slices.IndexFunc(merged, func(m policyRule) bool { return same(m, r) }); i >= 0 {
			merged[i].Resources = append(merged[i].Resources, r.Resources...)
			slices.Sort(merged[i].Resources)
			continue
		}
		merged = append(merged, r)
	}
	slices.SortFunc(merged, func(a, b policyRule) int {
		return cmp.Or(cmp.Compare(a.APIGroups[0], b.APIGroups[0]), slices.Compare(a.Resources, b.Resources), slices.Compare(a.ResourceNames, b.ResourceNames))
	})
	return merged
}

// A subject is whom roles are bound to.
type subject struct {
	Kind      string `yaml:"kind"`
	APIGroup  string `yaml:"apiGroup,omitempty"`
	Namespace string `yaml:"namespace,omitempty"`
	Name      string `yaml:"name"`
}

const rbacGroup = "rbac.authorization.k8s.io"

func (o *rbacOptions) subjects() (all []subject, err error) {
	for _, account := range o.accounts {
		namespace, name, ok := strings.Cut(account, ":")
		if !ok || namespace == "" || name == "" {
			return nil, usagef("such as --serviceaccount default:trainee", "--serviceaccount %q: want NAMESPACE:NAME", account)
		}
		all = append(all, subject{Kind: "ServiceAccount", Namespace: namespace, Name: name})
	}
	for _, user := range o.users {
		all = append(all, subject{Kind: "User", APIGroup: rbacGroup, Name: user})
	}
	for _, group := range o.groups {
		all = append(all, subject{Kind: "Group", APIGroup: rbacGroup, Name: group})
	}
	return all, nil
}

type metadata struct {
	Name      string `yaml:"name"`
	Namespace string `yaml:"namespace,omitempty"`
}

type roleManifest struct {
	APIVersion string       `yaml:"apiVersion"`
	Kind       string       `yaml:"kind"`
	Metadata   metadata     `yaml:"metadata,flow"`
	Rules      []policyRule `yaml:"rules"`
}

type roleRef struct {
	APIGroup string `yaml:"apiGroup"`
	Kind     string `yaml:"kind"`
	Name     string `yaml:"name"`
}

type bindingManifest struct {
	APIVersion string    `yaml:"apiVersion"`
	Kind       string    `yaml:"kind"`
	Metadata   metadata  `yaml:"metadata,flow"`
	RoleRef    roleRef   `yaml:"roleRef,flow"`
	Subjects   []subject `yaml:"subjects"`
}

// writeRoles writes manifests, the cluster-wide ones first.
func writeRoles(w io.Writer, o *rbacOptions, names, unknown []string, roles map[scope][]*granted, subjects []subject) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "# What a user needs to run %s, and to put back what it changes.\n", strings.Join(names, ", "))
	for _, what := range unknown {
		fmt.Fprintf(&text, "# Known only in the run, so not in here: %s\n", runner.Plain(what))
	}
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	for _, where := range slices.Sorted(maps.Keys(roles)) {
		kind := "Role"
		if where == "" {
			kind = "ClusterRole"
		}
		m := metadata{o.name, string(where)}
		if err := encoder.Encode(roleManifest{rbacGroup + "/v1", kind, m, rules(roles[where])}); err != nil {
			return err
		}
		if len(subjects) == 0 {
			continue
		}
		if err := encoder.Encode(bindingManifest{rbacGroup + "/v1", kind + "Binding", m, roleRef{rbacGroup, kind, o.name}, subjects}); err != nil {
			return err
		}
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	_, err := w.Write(text.Bytes())
	return err
}
