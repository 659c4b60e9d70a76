package steps

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/egressplay/egressplay/runner"
	"github.com/egressplay/egressplay/shell"
)

// An istioctlProgram is istioctl within a script: the tables of proxy-config, the JSON
// of its secrets, and analyze, for which Istio's own program runs where it is there.
type istioctlProgram struct{ scope *runner.Scope }

// A proxyLook is istioctl proxy-config.
type proxyLook struct {
	of             string // secret, listener, cluster, route or endpoint
	pod, namespace string
	json           bool
	only           map[string]string // which rows, by the flag's name without dashes
}

// looked are the names by which istioctl knows what a proxy has.
var looked = map[string]string{
	"secret": "secret", "secrets": "secret", "s": "secret",
	"listener": "listener", "listeners": "listener", "l": "listener",
	"cluster": "cluster", "clusters": "cluster", "c": "cluster",
	"route": "route", "routes": "route", "r": "route",
	"endpoint": "endpoint", "endpoints": "endpoint", "ep": "endpoint",
}

// rowFlags are the flags that choose rows, by what is looked at.
var rowFlags = map[string][]string{
	"listener": {"address", "port"},
	"cluster":  {"direction", "fqdn", "port", "subset"},
	"route":    {"name"},
	"endpoint": {"address", "cluster", "port", "status"},
}

// parseProxyConfig reads an istioctl command line, whose first word is istioctl. An
// error is why it cannot stand in a script.
func parseProxyConfig(argv []string) (*proxyLook, error) {
	look := &proxyLook{only: map[string]string{}}
	var words []string
	for i := 1; i < len(argv); i++ {
		name, value, given := strings.Cut(argv[i], "=")
		switch {
		case !strings.HasPrefix(name, "-"):
			words = append(words, argv[i])
			continue
		case strings.HasPrefix(name, "-o") && len(name) > 2:
			name, value, given = "-o", name[2:], true
		}
		if !given {
			if i++; i == len(argv) {
				return nil, fmt.Errorf("istioctl: %s has no value", name)
			}
			value = argv[i]
		}
		switch {
		case name == "-n" || name == "--namespace":
			look.namespace = value
		case (name == "-o" || name == "--output") && value == "json":
			look.json = true
		case strings.HasPrefix(name, "--"):
			look.only[name[2:]] = value
		default:
			return nil, fmt.Errorf("istioctl: %s %s is not known here", name, value)
		}
	}
	switch {
	case len(words) == 0:
		return nil, errors.New("istioctl without a command")
	case words[0] != "proxy-config" && words[0] != "pc" || len(words) < 2:
		return nil, fmt.Errorf("istioctl %s is not known here", words[0])
	case looked[words[1]] == "":
		return nil, fmt.Errorf("istioctl proxy-config %s is not known here, but secret, listener, cluster, route and endpoint are", words[1])
	case len(words) != 3:
		return nil, fmt.Errorf("istioctl proxy-config %s: want one pod", words[1])
	case look.json && looked[words[1]] != "secret":
		return nil, fmt.Errorf("istioctl proxy-config %s is known here as a table, not in JSON", words[1])
	}
	look.of = looked[words[1]]
	for _, flag := range slices.Sorted(maps.Keys(look.only)) {
		value := look.only[flag]
		switch _, err := strconv.Atoi(value); {
		case !slices.Contains(rowFlags[look.of], flag):
			return nil, fmt.Errorf("istioctl proxy-config %s: --%s %s is not known here", words[1], flag, value)
		case flag == "port" && err != nil && value != "x": // x is known only at the run
			return nil, fmt.Errorf("istioctl proxy-config %s: --port takes a number, not %q", words[1], value)
		}
	}
	name, namespace, _ := strings.Cut(words[2], ".")
	look.pod, look.namespace = name, cmp.Or(namespace, look.namespace)
	return look, nil
}

// run is a [shell.Program].
func (p *istioctlProgram) run(ctx context.Context, argv []string, _ string) (shell.Result, error) {
	analyzed, is, err := parseAnalyze(argv)
	switch {
	case err != nil:
		return shell.Result{}, err
	case is:
		return p.analyze(ctx, analyzed)
	}
	look, err := parseProxyConfig(argv)
	if err != nil {
		return shell.Result{}, err
	}
	e := &Exec{In: Pod{Name: look.pod}, Container: "istio-proxy", Namespace: look.namespace}
	pod, err := e.Pod(ctx, p.scope)
	if err != nil {
		return shell.Result{}, err
	}
	if err := p.scope.InForce(ctx, pod); err != nil {
		return shell.Result{}, err
	}
	dump := func(resource string) ([]any, error) {
		path := "config_dump?resource=" + resource
		if resource == clusterStatuses {
			path = "clusters?format=json"
		}
		a, err := run(ctx, p.scope.Cluster, pod, []string{"pilot-agent", "request", "GET", path}, "")
		if err != nil {
			return nil, err
		}
		var answer struct {
			Configs  []any
			Statuses []any `json:"cluster_statuses"`
		}
		if err := json.Unmarshal([]byte(a.Command.Stdout), &answer); err != nil || *a.Command.ExitCode != 0 {
			return nil, fmt.Errorf("the proxy does not tell its configuration: exit code %d, %q", *a.Command.ExitCode, a.Command.Stderr)
		}
		return append(answer.Configs, answer.Statuses...), nil
	}
	return look.table(dump)
}

// table prints what a proxy has. dump asks it for a part of its configuration.
func (l *proxyLook) table(dump func(resource string) ([]any, error)) (shell.Result, error) {
	parts := map[string][2]string{
		"secret":   {"dynamic_warming_secrets", "dynamic_active_secrets"},
		"listener": {"dynamic_listeners", "static_listeners"},
		"cluster":  {"dynamic_active_clusters", "static_clusters"},
		"route":    {"dynamic_route_configs", "static_route_configs"},
		"endpoint": {clusterStatuses},
	}[l.of]
	first, err := dump(parts[0])
	if err != nil {
		return shell.Result{}, err
	}
	var second []any
	if parts[1] != "" {
		if second, err = dump(parts[1]); err != nil {
			return shell.Result{}, err
		}
	}
	text := ""
	switch {
	case l.of == "listener":
		text, err = listenersTable(slices.Concat(first, second), l.only)
	case l.of == "cluster":
		text, err = clustersTable(slices.Concat(first, second), l.only)
	case l.of == "route":
		text, err = routesTable(slices.Concat(first, second), l.only)
	case l.of == "endpoint":
		text, err = endpointsTable(first, l.only)
	case l.json:
		text, err = secretsJSON(first, second)
	default:
		text = secretsTable(first, second, time.Now())
	}
	return shell.Result{Stdout: text}, err
}

// secretsJSON prints secrets as istioctl does, with the names that protobuf gives to
// fields in JSON.
func secretsJSON(warming, active []any) (string, error) {
	dump := map[string]any{}
	for name, list := range map[string][]any{"dynamicWarmingSecrets": warming, "dynamicActiveSecrets": active} {
		if len(list) > 0 {
			dump[name] = camel(list)
		}
	}
	text, err := json.MarshalIndent(dump, "", "    ")
	return string(text) + "\n", err
}

// camel writes the names of fields as protobuf's JSON does: tls_certificate as
// tlsCertificate.
func camel(value any) any {
	switch value := value.(type) {
	case []any:
		out := make([]any, len(value))
		for i := range value {
			out[i] = camel(value[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for name, v := range value {
			parts := strings.Split(name, "_")
			for i := 1; i < len(parts); i++ {
				if parts[i] != "" {
					parts[i] = strings.ToUpper(parts[i][:1]) + parts[i][1:]
				}
			}
			out[strings.Join(parts, "")] = camel(v)
		}
		return out
	}
	return value
}

// secretsTable prints the table of istioctl (istioctl/pkg/writer/compare/sds).
func secretsTable(warming, active []any, now time.Time) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 5, 5, ' ', 0)
	fmt.Fprintln(w, "RESOURCE NAME\tTYPE\tSTATUS\tVALID CERT\tSERIAL NUMBER\tNOT AFTER\tNOT BEFORE")
	for _, list := range []struct {
		state   string
		secrets []any
	}{{"WARMING", warming}, {"ACTIVE", active}} {
		for _, s := range list.secrets {
			secret, _ := s.(map[string]any)
			name, _ := secret["name"].(string)
			fmt.Fprintf(w, "%s\t%s\n", name, certificateRow(secret, list.state, now))
		}
	}
	if len(warming)+len(active) == 0 {
		return "No secret items to show.\n"
	}
	_ = w.Flush()
	return out.String()
}

// certificateRow returns what the table says of a secret's first certificate.
func certificateRow(secret map[string]any, state string, now time.Time) string {
	inner, _ := secret["secret"].(map[string]any)
	var data []byte
	for _, path := range [][2]string{{"tls_certificate", "certificate_chain"}, {"validation_context", "trusted_ca"}} {
		of, _ := inner[path[0]].(map[string]any)
		source, _ := of[path[1]].(map[string]any)
		if text, ok := source["inline_bytes"].(string); ok && len(data) == 0 {
			data = []byte(text)
			if decoded, err := base64.StdEncoding.DecodeString(text); err == nil {
				data = decoded
			}
		}
	}
	var cert *x509.Certificate
	if block, _ := pem.Decode(data); block != nil {
		cert, _ = x509.ParseCertificate(block.Bytes)
	}
	if cert == nil {
		return "\t" + state + "\tfalse\t\t\t"
	}
	kind := "Cert Chain"
	if cert.IsCA {
		kind = "CA"
	}
	valid := now.After(cert.NotBefore) && now.Before(cert.NotAfter)
	return fmt.Sprintf("%s\t%s\t%t\t%032x\t%s\t%s", kind, state, valid, cert.SerialNumber, cert.NotAfter.UTC().Format(time.RFC3339), cert.NotBefore.UTC().Format(time.RFC3339))
}
