//go:build lab

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/yaml"

	"github.com/egressplay/egressplay/cluster"
)

// kubectl applies or deletes manifests, as a user does.
func kubectl(t *testing.T, verb, manifests string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "roles.yaml")
	require.NoError(t, os.WriteFile(file, []byte(manifests), 0o600))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := command(ctx, "egressplay", "lab", "kubectl", verb, "-f", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// leastRoles returns the roles of a playbook, bound to an account of this name,
// and a kubeconfig of that account. It may do nothing else.
func leastRoles(t *testing.T, name, playbook string) (manifests, kubeconfig string) {
	t.Helper()
	kubeconfig = account(t, name, `[]`)
	e := egressplay(t, "rbac", playbook, "--name", name+"-least", "--serviceaccount", "default:"+name)
	e.exits(t, 0)
	assert.NotContains(t, e.stdout, "Known only in the run")
	return e.stdout, kubeconfig
}

// leastSample has a step of every kind: with namespaces, workloads, Secrets and
// roles that the run makes, the mesh's policy, gateways of both kinds, deletions.
var leastSample = []string{
	"accessing-external-services", "egress-gateway-http-gateway-api", "egress-gateway-tls-origination-mutual",
	"tls-origination-mutual", "wildcard-egress", "kubernetes-services-externalname", "wildcard-egress-gateway",
}

// With exactly the roles that rbac prints, applied by kubectl as they are, each
// playbook passes, and nothing that it could need is missing.
// EGRESSPLAY_E2E_RBAC=all takes every built-in playbook.
func TestPlaybooksPassWithTheLeastRoles(t *testing.T) {
	once(t)
	names := leastSample
	if os.Getenv("EGRESSPLAY_E2E_RBAC") == "all" {
		e := egressplay(t, "list", "-o", "name")
		e.exits(t, 0)
		names = strings.Fields(e.stdout)
	}
	passed := 0
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			manifests, kubeconfig := leastRoles(t, "least-"+name, name)
			kubectl(t, "apply", manifests)
			t.Cleanup(func() { kubectl(t, "delete", manifests) })
			args := []string{"run", name, "--kubeconfig", kubeconfig, "--context", elsewhere, "--allow-mesh-changes"}
			eventually(t, func() bool { // the server takes a moment to know of a role
				e := egressplay(t, append(args, "--dry-run", "server")...)
				return !strings.Contains(e.stderr+e.stdout, "permi") && !strings.Contains(e.stderr, "may not")
			}, "the roles do not hold")
			e := egressplay(t, args...)
			e.exits(t, 0)
			for _, text := range []string{"not permitted", "forbidden", "cannot be kept", "no Lease", "cannot be asked"} {
				assert.NotContains(t, e.stdout, text)
			}
			if strings.Contains(e.stdout, "put back: namespace/") {
				assert.Contains(t, e.stdout, "for kinds that may not be listed", "what it could not see in a namespace before it deleted that")
			}
			passed++
		})
	}
	t.Logf("%d of %d playbooks passed with the least roles", passed, len(names))
}

// A run that lacks one of the rules does not begin, or says what is lost, and
// names the permission in both cases.
func TestEachMissingRuleIsNamed(t *testing.T) {
	once(t)
	manifests, kubeconfig := leastRoles(t, "lacking", "tls-origination")
	documents := strings.Split(manifests, "\n---\n")
	kubectl(t, "apply", manifests)
	t.Cleanup(func() { kubectl(t, "delete", manifests) })
	run := func() string {
		e := egressplay(t, "run", "tls-origination", "--kubeconfig", kubeconfig, "--context", elsewhere, "--dry-run", "server")
		return e.stdout + e.stderr
	}
	eventually(t, func() bool { return !strings.Contains(run(), "permi") }, "the roles do not hold")
	left := 0
	for _, document := range documents {
		var role map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(document), &role))
		rules, _ := role["rules"].([]any)
		for i, rule := range rules {
			rule := rule.(map[string]any)
			role["rules"] = slices.Delete(slices.Clone(rules), i, i+1)
			without, err := yaml.Marshal(role)
			require.NoError(t, err)
			kubectl(t, "apply", string(without))
			verb, resource := rule["verbs"].([]any)[0].(string), rule["resources"].([]any)[0].(string)
			said := ""
			eventually(t, func() bool {
				said = run()
				return strings.Contains(said, verb+" "+resource)
			}, "without the rule %v it is not said that %s %s is missing", rule, verb, resource)
			left++
		}
		if len(rules) > 0 {
			role["rules"] = rules
			whole, err := yaml.Marshal(role)
			require.NoError(t, err)
			kubectl(t, "apply", string(whole))
			eventually(t, func() bool { return !strings.Contains(run(), "permi") }, "the role does not hold again")
		}
	}
	assert.Greater(t, left, 15)
	t.Logf("%d rules left out one by one, each was named", left)
}

// The kinds that rbac knows without a cluster are what a real one says they are.
func TestKnownResourcesAreThoseOfACluster(t *testing.T) {
	lists, err := discovery.ServerPreferredResources(shared.discovery)
	require.NoError(t, err)
	known := 0
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		require.NoError(t, err)
		for _, r := range list.APIResources {
			ref := cluster.Ref{APIVersion: list.GroupVersion, Kind: r.Kind}
			got, err := cluster.KnownResource(ref)
			if err != nil {
				continue
			}
			known++
			assert.Equal(t, []any{gv.Group, r.Name, r.Kind, r.Namespaced}, []any{got.Group, got.Name, got.Kind, got.Namespaced})
			if got, err := cluster.KnownResource(cluster.Ref{Kind: r.Name + "." + gv.Group}); gv.Group != "" {
				require.NoError(t, err)
				assert.Equal(t, r.Kind, got.Kind)
			}
			for _, short := range r.ShortNames {
				ref.Kind = short
				got, err := cluster.KnownResource(ref)
				if assert.NoError(t, err, "%s is short for %s", short, r.Kind) {
					assert.Equal(t, r.Kind, got.Kind)
				}
			}
		}
	}
	assert.Greater(t, known, 50)
}
