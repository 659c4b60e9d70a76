package explain

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
)

// refusedFamily is about objects that the API server does not take.
var refusedFamily = family{"Refused by the API server", refused, []Cause{
	{"istio-validation", "an apply is refused", "Istio finds the object invalid.", "Do what the message says."},
	{"unknown-field", "an apply is refused", "The object has a field that its kind does not have.", "Correct the field; `kubectl explain KIND` lists them."},
	{"invalid-value", "an apply is refused", "A field has a value that its kind does not take.", "Correct the value."},
	{"webhook-denied", "an apply is refused", "An admission webhook denies the object.", "Do what the webhook's message says."},
	{"webhook-down", "an apply is refused: failed calling webhook", "The API server cannot reach an admission webhook.", "Look at the webhook's Service and its pods."},
	{"older-api", "an apply is refused", "The cluster serves the kind in another version.", "Write the version that it serves."},
	{"kind-missing", "an apply is refused", "The cluster has not the kind.", "Install its definition (CRD)."},
	{"namespace-missing", "an apply is refused", "The object's namespace is not there.", "Create it first."},
	{"forbidden", "exit code 3", "The user of the kubeconfig may not do what the step does.", "Have the user bound to a role that allows it."},
}}

var (
	forbidden    = regexp.MustCompile(`User "([^"]*)" cannot (\w+) resource "([^"]*)" in API group "([^"]*)"(?: in the namespace "([^"]*)")?`)
	webhook      = regexp.MustCompile(`(?s)admission webhook "([^"]*)" denied the request: (.*)`)
	unreached    = regexp.MustCompile(`(?s)failed calling webhook "([^"]*)": (?:failed to call webhook: )?(.*)`)
	undeclared   = regexp.MustCompile(`(\.[A-Za-z0-9_.\[\]"-]+): field not declared in schema`)
	unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)
	invalidValue = regexp.MustCompile(`(?s)is invalid: (?:\[)?([^:\s]+): (Invalid value|Unsupported value|Required value|Too long|Too many|Forbidden|Duplicate value)(?:: (.*))?`)
	noNamespace  = regexp.MustCompile(`namespaces? "([^"]+)" not found`)
)

func refused(c *facts) []evidence.Finding {
	text := c.said()
	if none, ok := errors.AsType[*cluster.NoKindError](c.Error); ok {
		return c.noKind(none)
	}
	if m := forbidden.FindStringSubmatch(text); m != nil {
		return c.forbidden(m)
	}
	if c.Kind != "apply" && c.Kind != "patch" && c.Kind != "label" && c.Kind != "annotate" && c.Kind != "scale" && c.Kind != "delete" && c.Kind != "policy" && c.Kind != "restart" {
		return nil
	}
	o := c.refusedObject()
	name := "the object"
	if !o.none() {
		name = o.GetKind() + " " + o.GetName()
	}
	next := func(field string) string {
		if o.none() {
			return "kubectl api-resources"
		}
		return "kubectl explain " + strings.ToLower(o.GetKind()) + strings.TrimSuffix("."+field, ".")
	}
	switch m := webhook.FindStringSubmatch(text); {
	case m != nil && strings.Contains(m[1], "istio.io"):
		reason := strings.TrimPrefix(strings.TrimSpace(m[2]), "configuration is invalid: ")
		field, words := plainIstio(reason)
		return one(c.found("istio-validation", o, field, next("spec"), "Istio finds %s invalid: %s.", name, words))
	case m != nil:
		return one(c.found("webhook-denied", o, "", "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
			"The admission webhook %s denies %s: %s", m[1], name, short(m[2], 140)))
	}
	if m := unreached.FindStringSubmatch(text); m != nil {
		if strings.HasSuffix(m[1], ".istio.io") {
			if found := c.istiodDown("it cannot say whether " + name + " is valid, so the API server does not take it"); found != nil {
				return found
			}
		}
		return one(c.found("webhook-down", o, "", "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
			"The API server cannot reach the admission webhook %s, which is to judge %s: %s", m[1], name, short(m[2], 140)))
	}
	if m := undeclared.FindStringSubmatch(text); m != nil {
		field := strings.TrimPrefix(m[1], ".")
		return one(c.found("unknown-field", o, field, next(parent(field)), "%s has the field %s, which its kind does not have.", name, field))
	}
	if m := unknownField.FindStringSubmatch(text); m != nil {
		return one(c.found("unknown-field", o, m[1], next(parent(m[1])), "%s has the field %s, which its kind does not have.", name, m[1]))
	}
	if m := noNamespace.FindStringSubmatch(text); m != nil {
		return one(c.found("namespace-missing", o, "metadata.namespace", "kubectl get namespaces", "There is no namespace %s, in which %s is to be.", m[1], name))
	}
	if m := invalidValue.FindStringSubmatch(text); m != nil {
		return one(c.found("invalid-value", o, m[1], next(""), "The API server does not take %s of %s: %s %s", m[1], name, strings.ToLower(m[2]), short(m[3], 140)))
	}
	return nil
}

// said returns the step's own text about its failure.
func (c *facts) said() string {
	text := errorText(c.Error)
	for i := range c.Verdicts {
		text += "\n" + c.Verdicts[i].Got + "\n" + c.Verdicts[i].Why
	}
	return text
}

// refusedObject returns the object that the verdict names as KIND/NAME.
func (c *facts) refusedObject() object {
	for i := range c.Verdicts {
		kind, name, ok := strings.Cut(c.Verdicts[i].Subject(), "/")
		if ok && name != "" && !strings.ContainsAny(kind+name, " []") {
			return named("", kindOf(c.Command, kind), c.Namespace, name)
		}
	}
	return object{}
}

// kindOf returns a kind as the manifest in a command spells it.
func kindOf(command, kind string) string {
	if m := regexp.MustCompile(`(?i)kind: (` + regexp.QuoteMeta(kind) + `)\b`).FindStringSubmatch(command); m != nil {
		return m[1]
	}
	return kind
}

func parent(field string) string {
	if i := strings.LastIndex(field, "."); i > 0 {
		return indices.ReplaceAllString(field[:i], "")
	}
	return ""
}

var indices = regexp.MustCompile(`\[[^\]]*\]`)

// istioWords has the meanings of messages of Istio's validation.
// Source: istio/istio pkg/config/validation.
var istioWords = []struct {
	says         *regexp.Regexp
	field, means string
}{
	{regexp.MustCompile(`service entry must have at least one host`), "spec.hosts", "spec.hosts is empty: name the host"},
	{regexp.MustCompile(`service entry must have at least one port`), "spec.ports", "spec.ports is empty: declare the port"},
	{regexp.MustCompile(`addresses are required for ports serving TCP`), "spec.addresses", "a port of TCP with resolution NONE needs spec.addresses"},
	{regexp.MustCompile(`unsupported protocol: (\S+)`), "spec.ports[].protocol", "the port's protocol $1 is none: write HTTP, HTTPS, HTTP2, GRPC, TLS, TCP or MONGO"},
	{regexp.MustCompile(`endpoints must be provided if service entry resolution mode is (?:dns|static|DNS|STATIC)`), "spec.endpoints", "the resolution needs spec.endpoints"},
	{regexp.MustCompile(`no endpoints should be provided for resolution type none`), "spec.endpoints", "resolution NONE goes with no spec.endpoints: the client's own address is taken"},
	{regexp.MustCompile(`hosts must be FQDN if no endpoints are provided for resolution mode (?:DNS\S*|dns\S*)`), "spec.hosts", "a host with a wildcard cannot be looked up: resolution DNS needs spec.endpoints, or write NONE"},
	{regexp.MustCompile(`virtual service must have at least one host`), "spec.hosts", "spec.hosts is empty: name the host"},
	{regexp.MustCompile(`http, tcp or tls must be provided in virtual service`), "spec", "it has no route: write spec.http, spec.tls or spec.tcp"},
	{regexp.MustCompile(`TLS match must have at least one SNI host`), "spec.tls[].match[].sniHosts", "a tls route needs match[].sniHosts"},
	{regexp.MustCompile(`SNI host "([^"]*)" is not a compatible subset of any of the virtual service domains`), "spec.tls[].match[].sniHosts", "the SNI $1 is none of spec.hosts"},
	{regexp.MustCompile(`total destination weight = 0|total destination weight (\S+) must be 100`), "spec.http[].route[].weight", "the weights of a route's destinations do not fit"},
	{regexp.MustCompile(`gateway must have at least one server`), "spec.servers", "spec.servers is empty"},
	{regexp.MustCompile(`server config must contain at least one host`), "spec.servers[].hosts", "a server has no hosts"},
	{regexp.MustCompile(`server cannot have TLS settings for non HTTPS/TLS ports`), "spec.servers[].tls", "a server with tls needs the protocol HTTPS or TLS"},
	{regexp.MustCompile(`server must have TLS settings for HTTPS/TLS protocols`), "spec.servers[].tls", "a server of protocol HTTPS or TLS needs tls"},
	{regexp.MustCompile(`(?:client certificate|server certificate) required|TLS requires a server certificate`), "spec.servers[].tls", "its tls.mode needs a certificate: credentialName, or the files"},
	{regexp.MustCompile(`sidecar: empty`), "spec", "spec is empty"},
	{regexp.MustCompile(`host must be of form namespace/dnsName`), "spec.egress[].hosts", "a host of a Sidecar is written NAMESPACE/HOST, such as ./*"},
}

// plainIstio returns a message of Istio's validation in plain words, and the field that
// it is about.
func plainIstio(reason string) (field, words string) {
	for _, w := range istioWords {
		if m := w.says.FindStringSubmatchIndex(reason); m != nil {
			return w.field, string(w.says.ExpandString(nil, w.means, reason, m))
		}
	}
	reason = strings.TrimSuffix(short(strings.NewReplacer("\n", " ", "\t", " ", "* ", "").Replace(reason), 160), ".")
	return "", reason
}

// noKind explains a kind that the cluster has in another version only, or not at all.
func (c *facts) noKind(e *cluster.NoKindError) []evidence.Finding {
	group, version, _ := strings.Cut(e.APIVersion, "/")
	if len(e.Served) > 0 {
		return one(c.found("older-api", object{}, "apiVersion", "kubectl api-resources --api-group "+group,
			"The cluster has no kind %s in %s (apiVersion %s): write %s/%s.", e.Kind, version, e.APIVersion, group, e.Served[0]))
	}
	if len(e.Elsewhere) > 0 {
		return one(c.found("older-api", object{}, "apiVersion", "kubectl api-resources",
			"The cluster has no kind %s in apiVersion %s: it has it in %s.", e.Kind, e.APIVersion, strings.Join(e.Elsewhere, ", ")))
	}
	next := "kubectl api-resources"
	if group != "" {
		next = "kubectl get crds | grep " + group
	}
	return one(c.found("kind-missing", object{}, "kind", next,
		"The cluster has no kind %s of %s: its definition (CRD) is not installed.", e.Kind, e.APIVersion))
}

// forbidden reports which role a user lacks.
func (c *facts) forbidden(m []string) []evidence.Finding {
	user, verb, resource, group, namespace := m[1], m[2], m[3], m[4], m[5]
	full := resource
	if group != "" {
		full += "." + group
	}
	where, flag, kind := "in the whole cluster", "", "ClusterRole"
	if namespace != "" {
		where, flag, kind = "in namespace "+namespace, " -n "+namespace, "Role"
	}
	return one(c.found("forbidden", object{}, "", fmt.Sprintf("kubectl auth can-i %s %s%s --as %s", verb, full, flag, user),
		"User %s may not %s %s %s: no role allows it (a %s with apiGroups [%q], resources [%s], verbs [%s]).", user, verb, full, where, kind, group, resource, verb))
}
