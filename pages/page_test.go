package pages

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/playbooks"
)

// lint reads a page that is written with ' for `, and returns its steps as YAML on
// one line each, its errors and its notes.
func lint(t *testing.T, text string, o Options, files ...string) (steps, errs, notes []string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "page.md")
	text = strings.ReplaceAll(text, "~~~", "```")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	for i := 0; i+1 < len(files); i += 2 {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, files[i])), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600))
	}
	o.Read = os.ReadFile
	r := NewReader(o)
	loaded := playbooks.Options{Readers: map[string]playbooks.Reader{".md": r.Read}}
	for name := range o.Set {
		if strings.Contains(text, name) {
			loaded.Set = append(loaded.Set, name+"=value")
		}
	}
	_, err := playbooks.Load([]string{file}, loaded)
	all, _ := errors.AsType[playbooks.Errors](err)
	for _, e := range all {
		errs = append(errs, strings.TrimPrefix(e.Error(), dir+"/"))
	}
	for _, n := range r.Notes[file] {
		notes = append(notes, strings.TrimPrefix(n.String(), dir+"/"))
	}
	if err != nil {
		return nil, errs, notes
	}
	out, err := playbooks.Text(file, loaded)
	require.NoError(t, err)
	var p struct{ Steps []yaml.Node }
	require.NoError(t, yaml.Unmarshal([]byte(out), &p))
	for _, s := range p.Steps {
		var b strings.Builder
		for i := 2; i < len(s.Content); i += 2 {
			n := s.Content[i+1]
			flow(n)
			text, err := yaml.Marshal(&yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle, Content: []*yaml.Node{s.Content[i], n}})
			require.NoError(t, err)
			if s.Content[i].Value != "continue" {
				b.WriteString(strings.TrimSpace(string(text)) + " ")
			}
		}
		steps = append(steps, strings.Join(strings.Fields(b.String()), " "))
	}
	return steps, nil, notes
}

func flow(n *yaml.Node) {
	n.Style = yaml.FlowStyle
	for _, c := range n.Content {
		flow(c)
	}
}

const deploySleep = "# T\n~~~bash\n$ kubectl label namespace default istio-injection=enabled\n$ kubectl apply -f samples/sleep/sleep.yaml\n$ export POD=$(kubectl get pod -l app=sleep -o jsonpath='{.items..metadata.name}')\n~~~\n"

// bare returns flow YAML without what is a matter of style.
func bare(text string) string {
	return strings.Join(strings.Fields(strings.NewReplacer(`"`, "", `'`, "", `\\n`, " ", `\n`, " ").Replace(text)), " ")
}

// TestStatements has statements as they stand on pages, and what they become.
func TestStatements(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"a request", "$ kubectl exec \"$POD\" -c sleep -- curl -s http://a.example/", `{exec: {in: "${POD}", container: sleep, command: [curl, -s, "http://a.example/"]}}`},
		{"without --, with -it", "kubectl exec -it $POD -c sleep curl http://a.example", `{exec: {in: "${POD}", container: sleep, command: [curl, "http://a.example"]}}`},
		{"a pod by its labels", `kubectl exec "$(kubectl get pod -l app=sleep -o jsonpath={.items..metadata.name})" -- curl -s u`, `{exec: {in: {selector: app=sleep}, command: [curl, -s, u]}}`},
		{"a pod of another cluster", "kubectl exec sleep-5f7cbdff8f-x2abc -- curl -s u", `{exec: {in: deploy/sleep, command: [curl, -s, u]}}`},
		{"a status line", "$ kubectl exec $POD -- curl -sI https://a.example | grep \"HTTP/\"\nHTTP/2 200", `{exec: {in: "${POD}", command: [curl, -sI, "https://a.example"]}} {expect: {responses: [{status: 200, proto: HTTP/2}]}}`},
		{"an exit code", "$ kubectl exec $POD -- curl -sI https://a.example | grep HTTP/\ncommand terminated with exit code 35", `{exec: {in: "${POD}", command: [curl, -sI, "https://a.example"]}} {expect: {exitCode: 35, stdout: {not: {matches: (?m)HTTP/}}}}`},
		{"a bare status", "$ kubectl exec $POD -- curl -s -o /dev/null -w \"%{http_code}\\n\" http://a.example\n503", `{exec: {in: "${POD}", command: [curl, -s, -o, /dev/null, -w, "%{http_code}\\n", "http://a.example"]}} {expect: {status: 503}}`},
		{"a grep of which nothing is shown", "$ kubectl exec $POD -- curl -s u | grep -i 'a.b'", `{exec: {in: "${POD}", command: [curl, -s, u]}} {expect: {stdout: {matches: "(?m)(?i)a.b"}}}`},
		{"a status line of the body", "$ kubectl exec $POD -- curl -s https://a.example | grep HTTP/\nHTTP/2 200", `{shell: "kubectl exec $POD -- curl -s https://a.example | grep HTTP/"} {expect: {shown: "HTTP/2 200\n"}}`},
		{"two at once", "$ kubectl exec $POD -- curl -s u; kubectl exec $POD -- curl -s v\ncommand terminated with exit code 35\ncommand terminated with exit code 35", `{shell: "kubectl exec $POD -- curl -s u; kubectl exec $POD -- curl -s v"} {expect: {shown: "command terminated with exit code 35\ncommand terminated with exit code 35\n"}}`},
		{"clusters of a pod of another cluster", "$ istioctl pc clusters sleep-5f7cbdff8f-x2abc -n x", `{shell: istioctl pc clusters deploy/sleep -n x}`},
		{"typed in a pod", "root@sleep-5f7cbdff8f-x2abc:/# curl -s u", `{exec: {in: deploy/sleep, command: [curl, -s, u]}}`},
		{"typed in a pod, with a pipe there", "root@sleep-5f7cbdff8f-x2abc:/tmp# curl -s u | grep x\nx", `{shell: "kubectl exec deploy/sleep -- sh -c 'curl -s u | grep x'"} {expect: {shown: x }}`},
		{"k for kubectl", "k exec -n x deploy/sleep -- curl -s u", `{exec: {in: deploy/sleep, namespace: x, command: [curl, -s, u]}}`},
		{"k for kubectl, behind a prompt and in a substitution", "me in ~/x on main λ k exec $(k get pod -l app=sleep -o jsonpath='{.items..metadata.name}') -- curl -s u", `{exec: {in: {selector: app=sleep}, command: [curl, -s, u]}}`},
		{"oc for kubectl", "$ oc get pods | grep sleep", `{shell: "kubectl get pods | grep sleep"}`},
		{"delete", "kubectl delete serviceentry a b", `{delete: {objects: [serviceentry/a, serviceentry/b]}}`},
		{"delete what may be gone", "kubectl -n x delete --ignore-not-found=true vs/a", `{delete: {objects: [vs/a], namespace: x, ifThere: true}}`},
		{"delete a sample", "kubectl delete -f @samples/sleep/sleep.yaml@", `{delete: {objects: [serviceaccount/sleep, service/sleep, deployment/sleep]}}`},
		{"a value", "export A=1 B=\"$POD:x\"", `{set: {A: {value: 1}, B: {value: "${POD}:x"}}}`},
		{"a log that is followed", "$ kubectl exec -it $POD -- tail -f /var/log/x.log\nx", `{shell: "kubectl exec -it $POD -- tail /var/log/x.log"} {expect: {shown: "x\n"}}`},
		{"logs", "kubectl logs $POD -c istio-proxy --tail 5", `{logs: {in: "${POD}", container: istio-proxy, tail: 5}}`},
		{"logs that are followed", "kubectl logs -f $POD -c istio-proxy --tail 5", `{logs: {in: "${POD}", container: istio-proxy, tail: 5}}`},
		{"logs that are followed and shown", "$ kubectl logs -l app=sleep -f --tail=0 -c istio-proxy | grep x\nx", `{shell: "kubectl logs -l app=sleep -c istio-proxy | grep x"} {expect: {shown: "x\n"}}`},
		{"logs that are shown", "$ kubectl logs $POD -c istio-proxy | tail -1\nx", `{shell: "kubectl logs $POD -c istio-proxy | tail -1"} {expect: {shown: "x\n"}}`},
		{"the policy", "$ istioctl install <flags-you-used> --set meshConfig.outboundTrafficPolicy.mode=REGISTRY_ONLY", `{policy: {set: REGISTRY_ONLY}}`},
		{"the policy, on two lines", "$ istioctl install <flags-you-used> \\\n    --set meshConfig.outboundTrafficPolicy.mode=REGISTRY_ONLY", `{policy: {set: REGISTRY_ONLY}}`},
		{"the policy, as of old", "$ istioctl manifest apply --set values.global.outboundTrafficPolicy.mode=REGISTRY_ONLY", `{policy: {set: REGISTRY_ONLY}}`},
		{"a session", "$ kubectl exec -it $POD -c sleep -- sh\n$ curl -s u\n$ exit", `{exec: {in: ${POD}, container: sleep, command: [curl, -s, u]}}`},
		{"what create prints", "$ kubectl create configmap a --from-literal=b=c -o yaml --dry-run=client | kubectl apply -f -", `{apply: "apiVersion: v1\ndata:\n b: c\nkind: ConfigMap\nmetadata:\n name: a\n"}`},
		{"the policy, by sed", `$ kubectl get configmap istio -n istio-system -o yaml | sed 's/mode: ALLOW_ANY/mode: REGISTRY_ONLY/g' | kubectl replace -n istio-system -f -`, `{policy: {set: REGISTRY_ONLY}}`},
		{"the policy that is shown", "$ kubectl get configmap istio -n istio-system -o yaml | grep -o \"mode: ALLOW_ANY\"\nmode: ALLOW_ANY", `{policy: {expect: ALLOW_ANY}}`},
		{"a namespace", "$ kubectl create ns ext\nnamespace/ext created", `{apply: "apiVersion: v1\nkind: Namespace\nmetadata:\n name: ext\n"}`},
		{"wait", "kubectl wait --for=condition=Ready pod -l app=sleep --timeout=90s", `{wait: {object: pod, selector: app=sleep, for: condition=Ready}} {within: 90s}`},
		{"rollout", "kubectl rollout status deploy/sleep", `{wait: {object: deploy/sleep, for: rollout}}`},
		{"restart", "kubectl rollout restart deployment sleep", `{restart: {objects: [deployment/sleep]}}`},
		{"scale", "kubectl scale deploy sleep --replicas=2", `{scale: {object: deploy/sleep, replicas: 2}}`},
		{"a heredoc by cat", "cat <<EOF | kubectl apply -n x -f -\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {p: \"$POD\"}\nEOF", `{apply: {manifest: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {p: \"${POD}\"}\n", namespace: x}}`},
		{"a quoted heredoc", "kubectl apply -f - <<'EOF'\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {p: \"${POD} $X\"}\nEOF", `{apply: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {p: \"$${POD} $X\"}\n"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			steps, errs, _ := lint(t, deploySleep+"\nText here:\n\n~~~bash\n"+test.text+"\n~~~\n", Options{})
			require.Empty(t, errs)
			require.Len(t, steps, 4)
			assert.Equal(t, bare(test.want), bare(steps[3]))
		})
	}
}

// TestRefused has statements that are no steps: each is an error at its place.
func TestRefused(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"$ ./scripts/loop.sh", "page.md:11:3: ./scripts/loop.sh is no program"},
		{"$ sleep 5\nHTTP/2 200", "page.md:11:3: the page shows of sleep what it does not print"},
		{"$ oc new-app x", "page.md:11:3: oc is no program"},
		{"$ kubectl exec $POD -- curl -s u | k frob", "page.md:11:36: k is no program"},
		{"$ curl http://a.example", "page.md:11:3: curl would run on this machine"},
		{"$ kubectl exec $NONE -- curl -s u", "page.md:11:16: nothing on this page sets the variable NONE"},
		{"$ kubectl exec $POD -- curl -s u | awk '{system($1)}'", "page.md:11:36: awk: the program \"{system($1)}\" is not known here"},
		{"$ kubectl exec $POD -- curl -s u | grep -o \"mode: X“", "page.md:11:44: “ is no quote to a shell"},
		{"$ kubectl apply -f mine.yaml", "page.md:11:3: the page has not written the file mine.yaml"},
		{"$ kubectl apply -f ../mine.yaml", "page.md:11:3: the file ../mine.yaml lies outside"},
		{"$ kubectl apply -f https://a.example/x.yaml", "page.md:11:3: nothing is fetched here"},
		{"$ kubectl get pod -l app=none -o jsonpath='{.items..metadata.name}' | wc -w\n1", "page.md:11:3: nothing on this page deploys a pod with the label app=none"},
		{"$ kubectl delete pod --all", "page.md:11:3: kubectl delete by a selector"},
		{"$ kubectl get pod -w\nNAME   READY", "page.md:11:3: kubectl get: --watch is not known"},
		{"$ while kubectl get pod; do sleep 1; done", "page.md:11:3: while, which has no bound"},
		{"$ while true; do kubectl get pod; done\nNAME", "page.md:11:3: while, which has no bound"},
		{"$ kubectl logs $POD \\\n  -f\nx", "page.md:11:3: "},
		{"$ kubectl --kubeconfig /etc/x get pod", "page.md:11:3: "},
		{"$ kubectl get pod < /etc/passwd", "page.md:11:19: kubectl with a redirection of a file"},
		{"$ kubectl delete svc x > out.txt", "page.md:11:24: kubectl with a redirection of a file"},
		{"$ istioctl install --frob", "page.md:11:3: istioctl install with --frob"},
		{"$ kubectl delete svc <your service>", "page.md:11:3: what stands for <your service> is left to the reader"},
		{"$ source ~/.bashrc", "page.md:11:3: source is no program"},
		{"$ kubectl apply -f - <<EOF\na: b\n EOF", "page.md:11:22: a shell cannot read this: unclosed here-document"},
		{"$ istioctl install --set values.global.proxy.excludeOutboundPorts=80", "page.md:11:3: the setting values.global.proxy.excludeOutboundPorts=80 of the mesh"},
		{"frobnicate now", "page.md:11:1: \"frobnicate\" is no program that is known here"},
		{"$ kubectl exec $POD -- curl -s u > /tmp/x", "page.md:11:34: kubectl with a redirection of a file"},
		{"$ kubectl get cm istio -n istio-system -o yaml | grep -o mode:.*\nmode: REGISTRY_ONLY", "page.md:11:3: the page shows REGISTRY_ONLY here, and nothing on it sets that"},
	} {
		t.Run(test.text, func(t *testing.T) {
			_, errs, _ := lint(t, deploySleep+"\nText here:\n\n~~~bash\n"+test.text+"\n~~~\n", Options{})
			require.NotEmpty(t, errs)
			assert.Contains(t, errs[0], test.want)
			assert.Len(t, errs, 1, "%v", errs)
		})
	}
}

func TestAnnotations(t *testing.T) {
	const request = "~~~bash\n$ kubectl exec $POD -- curl -s u\n~~~\n"
	steps, errs, _ := lint(t, deploySleep+"<!-- egressplay: exit=28 within=60s holds=3 -->\n"+request, Options{})
	require.Empty(t, errs)
	assert.Equal(t, bare(`{exec: {in: "${POD}", command: [curl, -s, u]}} {expect: {exitCode: 28}} {within: 60s} {holds: 3}`), bare(steps[3]))
	steps, errs, notes := lint(t, deploySleep+"<!-- egressplay: skip=\"needs a cloud\" -->\n~~~bash\n$ ./x\n~~~\n", Options{})
	require.Empty(t, errs)
	assert.Len(t, steps, 3)
	assert.Contains(t, strings.Join(notes, "\n"), "not run, says its author: needs a cloud")
	steps, errs, _ = lint(t, deploySleep+"<!-- egressplay\n- title: Block\n  policy: {set: REGISTRY_ONLY}\n-->\n\n"+request, Options{})
	require.Empty(t, errs)
	assert.Equal(t, "{policy: {set: REGISTRY_ONLY}}", steps[3])
	for comment, want := range map[string]string{
		"<!-- egressplay: exti=28 -->":                              `page.md:7:1: the key "exti" is not known`,
		"<!-- egressplay: exit=300 -->":                             "page.md:7:1: exit must be 0-255",
		"<!-- egressplay: exit -->":                                 "page.md:7:1: an annotation is",
		"<!-- egressplay: skip=\"x\" -->\n\n# Another section":      "page.md:7:1: this annotation concerns no fence",
		"<!-- egressplay\n- title: Block\n  polcy: {set: X}\n-->\n": "page.md:9:3: ",
		"<!-- egressplay\n{a\n-->\n":                                "page.md:7:1: the hidden steps are no YAML",
		"<!-- egressplay: output=none -->":                          "page.md:7:1: output must be exit",
	} {
		_, errs, _ := lint(t, deploySleep+comment+"\n\n"+request, Options{})
		require.NotEmpty(t, errs, comment)
		assert.Contains(t, errs[0], want)
	}
}

func TestOverlay(t *testing.T) {
	page := deploySleep + "## Requests\n~~~bash\n$ kubectl exec $POD -- curl -s u\n$ ./x\n~~~\n"
	steps, errs, notes := lint(t, page, Options{}, "page.egressplay.yaml", `
- at: {section: Requests, statement: kubectl exec $POD}
  exit: 7
  before: [{title: Block, policy: {set: REGISTRY_ONLY}}]
- at: {statement: ./x}
  skip: it is a script
`)
	require.Empty(t, errs)
	assert.Equal(t, bare(`{policy: {set: REGISTRY_ONLY}} {exec: {in: ${POD}, command: [curl, -s, u]}} {expect: {exitCode: 7}}`), bare(strings.Join(steps[3:], " ")))
	assert.Contains(t, strings.Join(notes, "\n"), "page.md:10:3: not run, says its author: it is a script")
	for overlay, want := range map[string]string{
		"- at: {statement: gone}\n  skip: x":                 `page.egressplay.yaml:1:3: the page has no statement "gone"`,
		"- at: {statement: kubectl exec, nth: 2}\n  skip: x": "page.egressplay.yaml:1:3: the page has no statement",
		"- at: {statement: kubectl exec}\n  skpi: x":         `page.egressplay.yaml:2:3: the key "skpi" is not known`,
		"- at: {statment: kubectl exec}\n  skip: x":          `page.egressplay.yaml:1:8: the key "statment" is not known`,
		"- skip: x": "page.egressplay.yaml:1:3: the entry has no at",
		"- at: {section: Nowhere, statement: kubectl}\n  skip: x": "in the section \"Nowhere\"",
		"a: b": "page.egressplay.yaml:1:1: an overlay is a list",
	} {
		_, errs, _ := lint(t, page, Options{}, "page.egressplay.yaml", overlay)
		assert.Contains(t, strings.Join(errs, "\n"), want)
	}
}

const twoTabs = deploySleep + `
{{< tabset >}}
{{< tab name="Istio APIs" >}}
{{< text bash >}}
$ kubectl exec $POD -- curl -s one
{{< /text >}}
{{< /tab >}}
{{< tab name="Gateway API" >}}
{{< text bash >}}
$ kubectl exec $POD -- curl -s two
{{< /text >}}
{{< /tab >}}
{{< /tabset >}}
`

func TestTabs(t *testing.T) {
	steps, errs, notes := lint(t, twoTabs, Options{})
	require.Empty(t, errs)
	require.Len(t, steps, 4)
	assert.Contains(t, steps[3], "one")
	assert.Contains(t, strings.Join(notes, "\n"), `not run: it is in the tab "Gateway API"`)
	steps, errs, _ = lint(t, twoTabs, Options{Tab: "Gateway API"})
	require.Empty(t, errs)
	require.Len(t, steps, 4)
	assert.Contains(t, steps[3], "two")
	_, errs, _ = lint(t, twoTabs, Options{Tab: "Gatway API"})
	require.Len(t, errs, 1)
	assert.Contains(t, errs[0], `the page has no tab "Gatway API"`)
	assert.Contains(t, errs[0], `"Istio APIs", "Gateway API"`)
}

func TestAlternative(t *testing.T) {
	steps, errs, notes := lint(t, deploySleep+"Otherwise:\n~~~bash\n$ kubectl apply -f <(istioctl kube-inject -f samples/sleep/sleep.yaml)\n~~~\n", Options{})
	require.Empty(t, errs)
	assert.Len(t, steps, 3)
	assert.Contains(t, strings.Join(notes, "\n"), "another way to what was done before")
}

// TestTypedInAPod has a fence of which one line has the prompt of a pod's shell: curl
// on the others is typed there, and what only the host has is not.
func TestTypedInAPod(t *testing.T) {
	const fence = "~~~bash\ncurl -s u\nroot@sleep-5f7cbdff8f-x2abc:/# curl -s v\nkubectl get pod\n~~~\n"
	steps, errs, notes := lint(t, deploySleep+fence, Options{})
	require.Empty(t, errs)
	require.Len(t, steps, 6)
	assert.Equal(t, "{exec: {in: deploy/sleep, command: [curl, -s, u]}}", steps[3])
	assert.Equal(t, "{exec: {in: deploy/sleep, command: [curl, -s, v]}}", steps[4])
	assert.Contains(t, strings.Join(notes, "\n"), "page.md:8:1: typed in a pod, as the prompt says: it is run in deploy/sleep")
	for _, prompt := range []string{"me@laptop:~$", "root@sleep:/#"} {
		_, errs, _ = lint(t, deploySleep+strings.Replace(fence, "root@sleep-5f7cbdff8f-x2abc:/#", prompt, 1), Options{})
		assert.Len(t, errs, 2)
	}
}

// TestSkippedVariables has commands that read what a skipped one would set.
func TestSkippedVariables(t *testing.T) {
	page := deploySleep + "~~~bash\n$ export A=$(minikube status)\n$ export B=$A\n$ kubectl exec $POD -- curl -s http://$B/\n$ kubectl exec $POD -- curl -s u\n~~~\n"
	steps, errs, notes := lint(t, page, Options{SkipUnmapped: true})
	require.Empty(t, errs)
	assert.Len(t, steps, 4)
	for _, want := range []string{"page.md:8:14: not run: minikube is no program", "page.md:9:12: not run: it reads A, which line 8 would set", "page.md:10:39: not run: it reads B, which line 9 would set"} {
		assert.Contains(t, strings.Join(notes, "\n"), want)
	}
	_, errs, _ = lint(t, page, Options{})
	assert.NotEmpty(t, errs)
}

// TestGatewayAPIWhereItIsNot has the command that installs the Gateway API's kinds only
// where they are not there.
func TestGatewayAPIWhereItIsNot(t *testing.T) {
	for _, text := range []string{
		"$ kubectl get crd gateways.gateway.networking.k8s.io &> /dev/null || \\\n  { kubectl kustomize \"github.com/kubernetes-sigs/gateway-api/config/crd?ref=v1.1.0\" | kubectl apply -f -; }",
		"$ kubectl get crd gateways.gateway.networking.k8s.io || kubectl apply --server-side -f https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.4.0/x.yaml",
	} {
		steps, errs, notes := lint(t, deploySleep+"~~~bash\n"+text+"\n~~~\n", Options{})
		require.Empty(t, errs)
		assert.Len(t, steps, 3)
		assert.Contains(t, strings.Join(notes, "\n"), "the kinds of the Gateway API must be there already")
	}
	for _, text := range []string{"$ kubectl get crd x || kubectl apply -f https://github.com/kubernetes-sigs/gateway-api/x.yaml", "$ kubectl get pod || true"} {
		_, errs, _ := lint(t, deploySleep+"~~~bash\n"+text+"\n~~~\n", Options{})
		require.NotEmpty(t, errs)
		assert.Contains(t, errs[0], "|| is not run here")
	}
}

// TestSecondOutput has a fence behind a command whose output is there already.
func TestSecondOutput(t *testing.T) {
	page := func(between, second string) string {
		return deploySleep + "~~~bash\n$ kubectl exec $POD -- curl -s u\nx\n~~~\n" + between + "\n~~~\n" + second + "\n~~~\n"
	}
	for _, text := range []string{page("The output is then:", "y"), page("Later:", "command terminated with exit code 7")} {
		_, errs, notes := lint(t, text, Options{})
		require.Empty(t, errs)
		assert.Contains(t, strings.Join(notes, "\n"), "page.md:13:1: what this shows is compared with nothing: the command before it shows its output in line 9")
	}
	for _, text := range []string{page("A file:", "y"), page("# Another section\nThe output is:", "y")} {
		_, errs, notes := lint(t, text, Options{})
		require.Empty(t, errs)
		assert.NotContains(t, strings.Join(notes, "\n"), "compared with nothing")
	}
}

// TestShownFile has a file of the author's that the page shows by cat.
func TestShownFile(t *testing.T) {
	page := func(shown string) string {
		return deploySleep + "~~~bash\n$ cat gw/a.yaml\n" + shown + "\n$ kubectl apply -f gw/a.yaml\n~~~\n"
	}
	const manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a"
	steps, errs, _ := lint(t, page(manifest), Options{})
	require.Empty(t, errs)
	require.Len(t, steps, 4)
	assert.Equal(t, bare("{apply: "+strings.ReplaceAll(manifest, "\n", " ")+" }"), bare(steps[3]))
	for _, shown := range []string{"", "a text", manifest + "\n...", "apiVersion: v1\nkind: [", "a: b"} {
		_, errs, _ = lint(t, page(shown), Options{})
		assert.Contains(t, strings.Join(errs, "\n"), "page.md:8:3: the page has not written the file", shown)
	}
}

func TestLeftOut(t *testing.T) {
	page := deploySleep + "## GKE\n~~~bash\n$ gcloud container clusters describe X\n$ curl -L https://istio.io/downloadIstio | sh -\n$ ./scripts/loop.sh\n~~~\n"
	_, errs, notes := lint(t, page, Options{})
	require.Len(t, errs, 1)
	assert.Contains(t, errs[0], "page.md:11:3: ./scripts/loop.sh is no program")
	assert.Len(t, notes, 2)
	steps, errs, notes := lint(t, page, Options{SkipUnmapped: true})
	require.Empty(t, errs)
	assert.Len(t, steps, 3)
	assert.Len(t, notes, 3)
}

// TestSplit has fences as pages have them.
func TestSplit(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string // statements, each with what is shown behind a bar
	}{
		{"prompts", "~~~\n$ kubectl a\nx\n$ kubectl b\n~~~", []string{"kubectl a|x", "kubectl b|"}},
		{"root's prompt", "~~~\n[root@m k]# kubectl get pod\nx\n~~~", []string{"kubectl get pod|x"}},
		{"a prompt with its glyph", "~~~bash\n tutorials \ue0b0 kubectl get pod\nx\n tutorials \ue0b0 \n\ndir/x > kubectl get svc\n~~~", []string{"kubectl get pod|x", "kubectl get svc|"}},
		{"a file that is written by cat", "~~~bash\ncat > a.yaml <<EOF\na: b\nEOF\ncat a.yaml\necho > b\n~~~", []string{"cat > a.yaml <<EOF\na: b\nEOF|", "cat a.yaml|", "echo > b|"}},
		{"a user's prompt", "~~~\nme@host:~$ kubectl get pod\nx\n~~~", []string{"kubectl get pod|x"}},
		{"no prompts", "~~~bash\nkubectl get pod\nNAME  READY\nkubectl get svc\n~~~", []string{"kubectl get pod|NAME  READY", "kubectl get svc|"}},
		{"some with, some without", "~~~\n1. Do it\n kubectl get pod\n$ kubectl get svc\nx\n~~~", []string{"kubectl get pod|", "kubectl get svc|x"}},
		{"prose behind output", "~~~\n$ kubectl get pod\nx\n\nThe output is like this one.\n\nMore words.\nkubectl get svc\n~~~", []string{"kubectl get pod|x", "kubectl get svc|"}},
		{"continued", "~~~\n$ kubectl get \\\n    pod\nx\n~~~", []string{"kubectl get \\\n    pod|x"}},
		{"continued by > ", "~~~\n$ kubectl get \\\n> pod\nx\n~~~", []string{"kubectl get \\\npod|x"}},
		{"a document", "~~~\n$ kubectl apply -f - <<EOF\na: b\nEOF\nx created\n~~~", []string{"kubectl apply -f - <<EOF\na: b\nEOF|x created"}},
		{"an output of its own", "~~~bash\nkubectl get pod\n~~~\nThe output is:\n~~~\nx\n~~~", []string{"kubectl get pod|x"}},
		{"a fence that is something else", "~~~bash\nkubectl get pod\n~~~\nThis is the file:\n~~~yaml\nx: y\n~~~", []string{"kubectl get pod|"}},
		{"a heading between", "~~~bash\nkubectl get pod\n~~~\n# H\n~~~\nx\n~~~", []string{"kubectl get pod|"}},
		{"Killercoda", "~~~plain\nkubectl get pod\n~~~{{exec}}\n\nText\n\n~~~plain\nkubectl get svc\n~~~{{execute T1}}\n\nkubectl is run.", []string{"kubectl get pod|", "kubectl get svc|"}},
		{"in a list", "1. Text\n\n   ~~~bash\n   $ kubectl get pod\n   x\n   ~~~\n", []string{"kubectl get pod|x"}},
		{"comments", "~~~bash\n# first\nkubectl get pod # now\n# then\nkubectl get svc\n~~~", []string{"kubectl get pod # now|", "kubectl get svc|"}},
		{"itself again", "~~~bash\nkubectl get pod\n~~~\n~~~\n$ kubectl get pod\nx\n~~~", []string{"kubectl get pod|x"}},
		{"a file", "~~~yaml\napiVersion: v1\nkind: Pod\n~~~", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			statements, issues, _ := split(read(strings.ReplaceAll(test.text, "~~~", "```")))
			assert.Empty(t, issues)
			var got []string
			for _, st := range statements {
				var shown []string
				for _, l := range st.shown {
					shown = append(shown, l.text)
				}
				got = append(got, st.text()+"|"+strings.Join(shown, "\n"))
			}
			assert.Equal(t, test.want, got)
		})
	}
}

func TestPlaces(t *testing.T) {
	statements, _, _ := split(read("---\ntitle: x\n---\n1. é\n\n   ```bash\n   $ kubectl get \\\n       pod\n   é\n   ```\n"))
	require.Len(t, statements, 1)
	line, column := statements[0].place(1, 1)
	assert.Equal(t, [2]int{7, 6}, [2]int{line, column})
	line, column = statements[0].place(2, 5)
	assert.Equal(t, [2]int{8, 8}, [2]int{line, column})
	assert.Equal(t, 9, statements[0].shown[0].line)
}

func TestFilesOfAPage(t *testing.T) {
	steps, errs, _ := lint(t, "# T\n~~~bash\n$ cat <<EOF > ./p.conf\nport 1\nEOF\n$ kubectl create configmap c -n x --from-file=s.conf=./p.conf --from-literal=a=b\n$ kubectl apply -f beside.yaml\n~~~\nWrite `mine.yaml`:\n~~~yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n~~~\n~~~bash\nkubectl apply -f mine.yaml\n~~~\n", Options{},
		"beside.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n")
	require.Empty(t, errs)
	require.Len(t, steps, 3)
	assert.Contains(t, steps[0], "port 1")
	assert.Contains(t, steps[0], "a: b")
	assert.Equal(t, "{apply: {files: [beside.yaml]}}", steps[1])
	assert.Contains(t, steps[2], "name: m")
}

func TestOpenSSL(t *testing.T) {
	steps, errs, _ := lint(t, "# T\n~~~bash\n$ openssl req -x509 -sha256 -nodes -days 365 -newkey rsa:2048 -subj '/O=example Inc./CN=example.com' -keyout example.com.key -out example.com.crt\n$ openssl req -out a.csr -newkey rsa:2048 -nodes -keyout a.key -subj \"/CN=a.example.com/O=a\"\n$ openssl x509 -req -sha256 -days 365 -CA example.com.crt -CAkey example.com.key -set_serial 0 -in a.csr -out a.crt\n$ kubectl create secret tls s --key a.key --cert a.crt\n~~~\n", Options{})
	require.Empty(t, errs)
	require.Len(t, steps, 2)
	assert.Equal(t, "{certificates: {EXAMPLE_COM: {ca: true, commonName: example.com, organization: example Inc.}, A: {issuer: EXAMPLE_COM, commonName: a.example.com, organization: a}}}", steps[0])
	assert.Contains(t, steps[1], "tls.crt: ${A_CRT}")
}

// TestSeed has the tutorial that this project started from.
func TestSeed(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(shared(t), "seed", "tutorial.md"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the tutorial is not here")
	}
	require.NoError(t, err)
	_, errs, notes := lint(t, string(data), Options{})
	require.Len(t, errs, 2)
	assert.Contains(t, errs[0], "page.md:18:22: nothing on this page deploys a pod with the label app=sleep")
	assert.Contains(t, errs[1], "page.md:34:3: the page shows REGISTRY_ONLY here, and nothing on it sets that")
	require.Len(t, notes, 1)
	assert.Contains(t, notes[0], "page.md:25:1: the page's own error: head prints at most 2 lines")
	overlay, err := os.ReadFile("testdata/seed.egressplay.yaml")
	require.NoError(t, err)
	steps, errs, _ := lint(t, string(data), Options{}, "page.egressplay.yaml", string(overlay))
	assert.Empty(t, errs)
	assert.Len(t, steps, 15+3)
}

// shared is the folder of pages by other people, which are no part of this project.
func shared(t *testing.T) string {
	if dir := os.Getenv("EGRESSPLAY_SHARED"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", "shared")
}

// TestFilesOutside has files of other folders that a page or its overlay names, and
// links that lead there. None is read.
func TestFilesOutside(t *testing.T) {
	outside := t.TempDir()
	const object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: planted}\n"
	require.NoError(t, os.WriteFile(filepath.Join(outside, "a.yaml"), []byte(object), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(outside, "overlay.yaml"), []byte("- at: {statement: echo}\n  skip: planted\n"), 0o600))
	const lies = "lies outside of the page's folder"
	for what, test := range map[string]struct{ command, comment, overlay, want string }{
		"a file":                           {command: "kubectl apply -f inside.yaml"},
		"a link within":                    {command: "kubectl apply -f within.yaml"},
		"a link":                           {command: "kubectl apply -f link.yaml", want: "the page has not written the file link.yaml"},
		"a link to a folder":               {command: "kubectl apply -f folder/a.yaml", want: "the page has not written the file folder/a.yaml"},
		"a link that delete reads":         {command: "kubectl delete -f link.yaml", want: "the page has not written the file link.yaml"},
		"a link of a ConfigMap":            {command: "kubectl create configmap x --from-file=link.yaml", want: "the page has not written the file link.yaml"},
		"..":                               {command: "kubectl apply -f ../a.yaml", want: lies},
		"an absolute path":                 {command: "kubectl apply -f " + outside + "/a.yaml", want: lies},
		"a hidden step's file":             {comment: "- title: A\n  apply: {files: [inside.yaml]}"},
		"a hidden step's link":             {comment: "- title: A\n  apply: {files: [link.yaml]}", want: lies},
		"a hidden step's ..":               {comment: "- title: A\n  apply: {files: [../a.yaml]}", want: lies},
		"a hidden step's absolute path":    {comment: "- title: A\n  apply: {files: [" + outside + "/a.yaml]}", want: lies},
		"a hidden step's sample elsewhere": {comment: "- title: A\n  apply: {files: [samples/../../a.yaml]}", want: lies},
		"the overlay's step":               {overlay: "- at: {statement: echo}\n  before: [{title: A, apply: {files: [link.yaml]}}]\n", want: lies},
		"the overlay is a link":            {overlay: "->", want: lies},
	} {
		dir := t.TempDir()
		page := "# T\n<!-- egressplay\n" + test.comment + "\n-->\n```bash\n$ echo a\n$ " + test.command + "\n```\n"
		if test.comment == "" {
			page = "# T\n```bash\n$ echo a\n$ " + test.command + "\n```\n"
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "page.md"), []byte(page), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "inside.yaml"), []byte(object), 0o600))
		require.NoError(t, os.Symlink("inside.yaml", filepath.Join(dir, "within.yaml")))
		require.NoError(t, os.Symlink(filepath.Join(outside, "a.yaml"), filepath.Join(dir, "link.yaml")))
		require.NoError(t, os.Symlink(outside, filepath.Join(dir, "folder")))
		overlay := filepath.Join(dir, "page.egressplay.yaml")
		switch test.overlay {
		case "":
		case "->":
			require.NoError(t, os.Symlink(filepath.Join(outside, "overlay.yaml"), overlay))
		default:
			require.NoError(t, os.WriteFile(overlay, []byte(test.overlay), 0o600))
		}
		r := NewReader(Options{Read: os.ReadFile})
		_, err := playbooks.Load([]string{filepath.Join(dir, "page.md")}, playbooks.Options{Readers: map[string]playbooks.Reader{".md": r.Read}})
		if test.want == "" {
			assert.NoError(t, err, what)
			continue
		}
		assert.ErrorContains(t, err, test.want, what)
	}
}

// TestInjected has files whose pods get their sidecars by istioctl: the namespace gets
// the label where the page does not set it, once.
func TestInjected(t *testing.T) {
	steps, errs, _ := lint(t, "# T\n~~~bash\n$ kubectl create ns foo\n$ kubectl apply -f <(istioctl kube-inject -f samples/sleep/sleep.yaml) -n foo\n"+
		"$ istioctl kube-inject -f samples/curl/curl.yaml | kubectl apply -n foo -f -\n$ kubectl label namespace bar istio-injection=enabled\n"+
		"$ kubectl apply -f <(istioctl kube-inject -f samples/sleep/sleep.yaml) -n bar\n~~~\n", Options{})
	require.Empty(t, errs)
	require.Len(t, steps, 6)
	assert.Equal(t, bare("{label: {object: namespace/foo, set: {istio-injection: enabled}}}"), bare(steps[1]))
	assert.Equal(t, bare("{apply: {files: [samples/sleep.yaml], namespace: foo}}"), bare(steps[2]))
	assert.Equal(t, bare("{apply: {files: [samples/curl.yaml], namespace: foo}}"), bare(steps[3]))
	assert.Equal(t, bare("{apply: {files: [samples/sleep.yaml], namespace: bar}}"), bare(steps[5]))
}

// TestTitles has what stands above a command, and the title that it gives its step.
func TestTitles(t *testing.T) {
	for text, want := range map[string]string{
		"Deploy the sample:":                             "Deploy the sample",
		"Deploy the [curl]({{< x >}}/samples/curl) app:": "Deploy the curl app",
		"| a | b |\n|---|---|\n| c | d |":                "The heading",
		"":                                               "The heading",
	} {
		r := NewReader(Options{Read: os.ReadFile})
		file := filepath.Join(t.TempDir(), "page.md")
		require.NoError(t, os.WriteFile(file, []byte("# T\n\n## The heading\n\n"+text+"\n\n```bash\n$ kubectl get cm a\n```\n"), 0o600))
		loaded, err := playbooks.Load([]string{file}, playbooks.Options{Readers: map[string]playbooks.Reader{".md": r.Read}})
		require.NoError(t, err)
		assert.Equal(t, want, loaded[0].Steps[0].Title, text)
	}
}

// TestSlips has slips of an author in what is for us, and in the names of programs.
func TestSlips(t *testing.T) {
	const command = "~~~bash\n$ kubectl get cm a\n~~~\n"
	for text, want := range map[string]string{
		"<!-- egresplay: skip=\"x\" -->\n" + command:           `page.md:3:1: this comment begins with "egresplay", and would be read by nobody` + "\n  hint: did you mean egressplay?",
		"<!-- Egressplay: exit=3 -->\n" + command:              `page.md:3:1: this comment begins with "Egressplay"`,
		"<!-- egress-play\n- title: a\n-->\n" + command:        `page.md:3:1: this comment begins with "egress-play"`,
		"<!-- egressplay: skp=\"x\" -->\n" + command:           `the key "skp" is not known: did you mean "skip"? the keys are exit, file`,
		"~~~yaml egresplay\n- title: a\n~~~\n" + command:       `page.md:3:1: the word "egresplay" of this fence is not known` + "\n  hint: did you mean egressplay?",
		"~~~bash\nkubctl get cm a\n~~~\n":                      `"kubctl" is no program that is known here, and a fence of bash begins with it` + "\n  hint: did you mean kubectl?",
		"~~~bash\nkubectl get cm a\nistoctl version\n~~~\n":    "hint: did you mean istioctl?",
		"~~~bash\nkubectl get cm a\nfrobnicate version\n~~~\n": "hint: write $ in front",
		"<!-- egress of a pod -->\n" + command:                 "",
		"<!-- egressplays: a plural -->\n" + command:           `begins with "egressplays"`,
		"<!-- a note about egressplay -->\n" + command:         "",
	} {
		_, errs, _ := lint(t, "# T\n\n"+text, Options{})
		if want == "" {
			assert.Empty(t, errs, text)
		} else if assert.Len(t, errs, 1, text) {
			assert.Contains(t, errs[0], want)
		}
	}
}
