package explain

import (
	"fmt"
	"strings"
)

// Document returns docs/explaining.md, which describes the causes. It is made from the
// table by which they are looked for.
func Document() string {
	var b strings.Builder
	b.WriteString(`# Why a step failed

<!-- Made by explain.Document; do not edit. To make it anew: go test ./explain -run TestDocument -update -->

Under a failed step stand the cause, as far as it is known, and the next command:

` + "```" + `
cause: ServiceEntry httpbin-ext declares port 80 as TCP (spec.ports[0].protocol), so the sidecar does no HTTP there: no route, no header, no path.
next:  kubectl -n default edit serviceentry httpbin-ext
       sidecar: a connection to outbound|80||httpbin.org
` + "```" + `

Beneath them are the facts on which the cause rests. A JSON report has the same in
` + "`findings`" + `: code, cause, object, field, next and facts.

` + "`egressplay why`" + ` does the same without a playbook. It makes a request from a pod, shows
its way and explains it if it fails, and changes nothing in the cluster:

` + "```" + `console
$ egressplay why deploy/sleep -- curl -sI https://www.google.com
` + "```" + `

A cause is named only where it is known. With two possible ones both are told (either,
or); with more, none: "The cause is not known." What may not be read is told. Causes that
are not in force or were not accepted come first, for nothing else is certain then. An
explanation takes 5 seconds at most and changes neither the verdict nor the exit code.

A step of a tutorial in Markdown is explained by the request that went otherwise than
shown: by the same causes as any other, with what curl and the proxies tell of it. A log
is explained by the last request before. Where several requests may be meant, and where
only a table or a text differs, no cause is named.

## What it may read

All of it is optional. Without a permission the causes that need it are not named.

| what | for |
| --- | --- |
| get and list of objects of Istio, of the Gateway API and of NetworkPolicies in all namespaces; Services, EndpointSlices, Pods, Namespaces, Deployments, and the ConfigMap of the mesh | the object that decides |
| list of Secrets, Roles, RoleBindings, ClusterRoles and ClusterRoleBindings | whether a Secret is there, and whether a proxy may have it |
| port-forward to pods with a proxy, or exec in them | what Envoy has in force |

`)
	for _, f := range Families() {
		fmt.Fprintf(&b, "## %s\n\n| code | symptom | cause | cure |\n| --- | --- | --- | --- |\n", f.Name)
		for _, c := range f.Causes {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", c.Code, cell(c.Symptom), cell(c.What), cell(c.Cure))
		}
		b.WriteString("\n")
	}
	b.WriteString("## Codes\n\nThe words for what is terse, wherever it is printed.\n")
	for _, t := range []struct {
		title, source string
		words         []Word
	}{
		{"Envoy's response flags", "Envoy, \"Access logging\", `%RESPONSE_FLAGS%`", FlagWords},
		{"Envoy's response code details", "Envoy, \"Response Code Details\"", DetailWords},
		{"curl's exit codes", "curl's man page, \"EXIT CODES\"", CurlWords},
		{"gRPC's statuses", "grpc.io, \"Status Codes\"", GRPCWords},
	} {
		fmt.Fprintf(&b, "\n### %s\n\nSource: %s.\n\n| code | meaning |\n| --- | --- |\n", t.title, t.source)
		for _, w := range t.words {
			fmt.Fprintf(&b, "| `%s` | %s |\n", w.Code, cell(w.Means))
		}
	}
	return b.String()
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
