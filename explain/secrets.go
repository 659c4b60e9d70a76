package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// secret explains why a proxy does not have the Secret that a rule for an upstream
// names: it does not exist, lacks keys, or may not be read.
func (c *facts) secret(h hop, u upstream) []evidence.Finding {
	t := c.tlsOf(h, u)
	name := t.credential()
	if name == "" {
		return c.files(h, t)
	}
	if !h.gateway && len(t.rule.labels("spec", "workloadSelector", "matchLabels")) == 0 {
		return nil // a sidecar ignores the credentialName of a rule without a workloadSelector
	}
	return c.secretOf(h, name, t.mode() == "MUTUAL", t.rule, t.field+".credentialName")
}

// secretOf explains the same about a Secret that an object names.
func (c *facts) secretOf(h hop, name string, withKey bool, by object, field string) []evidence.Finding {
	if !c.mayList(secrets) {
		if account, denied := c.mayNotRead(h); denied {
			return c.unreadable(h, name, account, by, field)
		}
		return nil
	}
	var there, cacert object
	var elsewhere []string
	for _, s := range c.list(secrets) {
		switch {
		case s.GetNamespace() == h.namespace && s.GetName() == name:
			there = s
		case s.GetNamespace() == h.namespace && s.GetName() == name+"-cacert":
			cacert = s
		case s.GetName() == name:
			elsewhere = append(elsewhere, s.GetNamespace())
		}
	}
	next := fmt.Sprintf("kubectl -n %s get secrets", h.namespace)
	switch {
	case there.none() && (withKey || cacert.none()):
		more := ""
		if len(elsewhere) > 0 {
			more = " (there is one in namespace " + strings.Join(elsewhere, ", ") + ")"
		}
		return one(c.found("secret-missing", by, field, next,
			"There is no Secret %s in namespace %s%s, which %s names (%s).", name, h.namespace, more, c.name(by), field))
	case !there.none():
		if lacks := lacksKeys(there, withKey, cacert.none()); lacks != "" {
			return one(c.found("secret-wrong-keys", there, "data", c.kubectl("describe", there),
				"Secret %s in namespace %s, which %s names, needs %s: it has %s.", name, h.namespace, c.name(by), lacks, keysOf(there)))
		}
	}
	if account, denied := c.mayNotRead(h); denied {
		return c.unreadable(h, name, account, by, field)
	}
	return nil
}

func (c *facts) unreadable(h hop, name, account string, by object, field string) []evidence.Finding {
	return one(c.found("secret-unreadable", by, field,
		fmt.Sprintf("kubectl -n %s auth can-i list secrets --as system:serviceaccount:%s:%s", h.namespace, h.namespace, account),
		"ServiceAccount %s in namespace %s may not list Secrets, so istiod does not send the proxy Secret %s, which %s names (%s).", account, h.namespace, name, c.name(by), field))
}

// keysOf returns the names of a Secret's keys.
func keysOf(s object) string {
	var keys []string
	for _, in := range []string{"data", "stringData"} {
		for key := range mapAt(s.Object, in) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return "none"
	}
	slices.Sort(keys)
	return strings.Join(keys, ", ")
}

// lacksKeys returns the keys that a Secret of TLS lacks, "" if it has all.
// Source: istio/istio pilot/pkg/credentials/kube/secrets.go.
func lacksKeys(s object, withKey, withCA bool) string {
	has := func(key string) bool {
		return at(s.Object, "data", key) != nil || at(s.Object, "stringData", key) != nil
	}
	switch {
	case withKey && !(has("tls.crt") && has("tls.key") || has("cert") && has("key")):
		return "tls.crt and tls.key"
	case !withKey && withCA && !has("ca.crt") && !has("cacert"):
		return "ca.crt"
	}
	return ""
}

// mayNotRead reports whether the service account of a proxy may not list the
// Secrets of its namespace, which istiod asks before it sends one.
// Source: istio/istio pilot/pkg/credentials/kube/secrets.go, Authorize.
func (c *facts) mayNotRead(h hop) (account string, denied bool) {
	if !c.mayList(roles, roleBindings, clusterRoles, clusterRoleBindings) {
		return "", false
	}
	for _, p := range c.list(pods) {
		if p.GetName() == h.pod && p.GetNamespace() == h.namespace {
			account = p.text("spec", "serviceAccountName")
		}
	}
	if account == "" {
		return "", false
	}
	bound := func(b object) bool {
		return slices.ContainsFunc(mapsAt(b.Object, "subjects"), func(s map[string]any) bool {
			switch name := textAt(s, "name"); textAt(s, "kind") {
			case "ServiceAccount":
				return name == account && textAt(s, "namespace") == h.namespace
			case "Group":
				return name == "system:serviceaccounts" || name == "system:serviceaccounts:"+h.namespace || name == "system:authenticated"
			case "User":
				return name == "system:serviceaccount:"+h.namespace+":"+account
			}
			return false
		})
	}
	for _, kind := range []string{roleBindings, clusterRoleBindings} {
		for _, b := range c.list(kind) {
			if kind == roleBindings && b.GetNamespace() != h.namespace || !bound(b) {
				continue
			}
			of := clusterRoles
			if b.text("roleRef", "kind") == "Role" {
				of = roles
			}
			for _, r := range c.list(of) {
				if r.GetName() == b.text("roleRef", "name") && (of == clusterRoles || r.GetNamespace() == h.namespace) && listsSecrets(r) {
					return account, false
				}
			}
		}
	}
	return account, true
}

func listsSecrets(role object) bool {
	return slices.ContainsFunc(mapsAt(role.Object, "rules"), func(r map[string]any) bool {
		any := func(field, want string) bool {
			all := textsAt(r, field)
			return slices.Contains(all, want) || slices.Contains(all, "*")
		}
		return any("apiGroups", "") && any("resources", "secrets") && any("verbs", "list") && len(textsAt(r, "resourceNames")) == 0
	})
}

// files reports that a proxy does not have a file that a rule names for its TLS: Envoy
// then waits for it, and does not take the upstream into use. Source: istio/istio
// pilot/pkg/security/model, SdsCertificateConfig.
func (c *facts) files(h hop, t tls) (found []evidence.Finding) {
	text, ok := c.admin(h, "config_dump?resource=dynamic_warming_secrets")
	if !ok || t.mode() != "SIMPLE" && t.mode() != "MUTUAL" {
		return nil
	}
	certificate := textAt(t.settings, "clientCertificate")
	for _, of := range []struct{ key, name, waits string }{
		{"clientCertificate", certificate, "file-cert:" + certificate + "~" + textAt(t.settings, "privateKey")},
		{"caCertificates", textAt(t.settings, "caCertificates"), "file-root:" + textAt(t.settings, "caCertificates")},
	} {
		if of.name == "" || !strings.Contains(text, `"`+of.waits+`"`) {
			continue
		}
		field := t.field + "." + of.key
		found = append(found, c.found("certificate-file-missing", t.rule, field, fmt.Sprintf("kubectl -n %s exec %s -c istio-proxy -- ls -l %s", h.namespace, h.pod, of.name),
			"The proxy of pod %s waits for the file %s, which %s names (%s): it has none that it can use.", h.pod, of.name, c.name(t.rule), field))
	}
	return found[:min(len(found), 1)] // it waits for this one, whatever else it lacks
}
