//go:build lab

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestProxyConfig has a page show what Istio's own istioctl prints of a proxy: the page
// holds, and does not hold where it shows one thing else of each.
func TestProxyConfig(t *testing.T) {
	once(t)
	withSample(t)
	create(t, "networking.istio.io/v1", "serviceentries", sample, `{kind: ServiceEntry, metadata: {name: looked}, spec: {hosts: [edition.cnn.com], exportTo: ["."],
	  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}], resolution: DNS}}`)
	create(t, "networking.istio.io/v1", "destinationrules", sample, `{kind: DestinationRule, metadata: {name: looked}, spec: {host: edition.cnn.com, exportTo: ["."],
	  subsets: [{name: v1, labels: {a: b}}], trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}}}`)
	create(t, "networking.istio.io/v1", "virtualservices", sample, `{kind: VirtualService, metadata: {name: looked}, spec: {hosts: [edition.cnn.com], exportTo: ["."], http: [
	  {match: [{uri: {prefix: /politics}}, {uri: {exact: /a}}], route: [{destination: {host: edition.cnn.com, port: {number: 80}}}]},
	  {match: [{uri: {regex: "/b.*"}}], redirect: {uri: /c}}]}}`)
	for _, kind := range []string{"serviceentries", "destinationrules", "virtualservices"} {
		t.Cleanup(func() {
			assert.NoError(t, resource("networking.istio.io/v1", kind, sample).Delete(context.Background(), "looked", metav1.DeleteOptions{}))
		})
	}
	looks := []struct{ command, old, new string }{
		{"route deploy/sleep", "looked.sample", "other.sample"},
		{"route deploy/sleep --name 80", "/politics*", "/sport*"},
		{"endpoint deploy/sleep", "HEALTHY", "UNHEALTHY"},
		{"endpoint deploy/sleep --cluster outbound|80||edition.cnn.com", "HEALTHY", "UNHEALTHY"},
		{"cluster deploy/sleep", "looked.sample", "other.sample"},
		{"cluster deploy/sleep --fqdn edition.cnn.com --direction outbound", "STRICT_DNS", "EDS"},
		{"listener deploy/sleep", "Route: 80", "Route: 81"},
		{"listener deploy/sleep --port 15006", "InboundPassthroughCluster", "BlackHoleCluster"},
		{"secret deploy/sleep", "ACTIVE", "WARMING"},
	}
	printed := func(command string) string {
		e := egressplay(t, append([]string{"lab", "istioctl", "-n", sample, "proxy-config"}, strings.Fields(command)...)...)
		e.exits(t, 0)
		return e.stdout
	}
	eventually(t, func() bool {
		return strings.Count(printed("route deploy/sleep"), "looked.sample") == 3 && strings.Contains(printed("cluster deploy/sleep"), "looked.sample")
	}, "the proxy has the configuration")
	const title = "# What a proxy has\n"
	page, lie := "\n"+title, "<!-- egressplay: within=\"1s\" -->\n"+title
	var lines []int
	for _, l := range looks {
		head := fmt.Sprintf("\n```bash\n$ istioctl -n %s proxy-config %s\n", sample, strings.ReplaceAll(l.command, "|", `\|`)) // which a shell would take for a pipe
		text := strings.TrimRight(printed(l.command), "\n") + "\n```\n"
		page += head + text
		lie += head
		at := strings.Index(text, l.old)
		require.GreaterOrEqual(t, at, 0, "%s in %s", l.old, text)
		lines = append(lines, strings.Count(lie+text[:at], "\n")+1)
		lie += text[:at] + l.new + text[at+len(l.old):]
	}
	file := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(file, []byte(page), 0o600))
	e := egressplay(t, "run", file, "--namespace", sample)
	e.exits(t, 0)
	assert.Contains(t, e.stdout, fmt.Sprintf("✓ %d steps passed", len(looks)))

	require.NoError(t, os.WriteFile(file, []byte(lie), 0o600))
	e = egressplay(t, "run", file, "--namespace", sample)
	e.exits(t, 1)
	assert.Contains(t, e.stdout, fmt.Sprintf("✗ %d steps failed", len(looks)))
	for _, line := range lines {
		assert.Contains(t, e.stdout, fmt.Sprintf("page.md:%d", line))
	}
}
