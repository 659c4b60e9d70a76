package pages

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/playbooks"
)

// longPage returns a page of 600 lines: requests with what they show, manifests, a table.
func longPage() string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(deploySleep, "~~~", "```"))
	for i := 0; ; i++ {
		part := fmt.Sprintf("\n## Host %d\n\nRegister the host a%d.example:\n\n```bash\n$ kubectl apply -f - <<EOF\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"+
			"metadata:\n  name: a%d\nspec:\n  hosts:\n  - a%d.example\n  ports:\n  - number: 443\n    name: tls\n    protocol: TLS\n  resolution: DNS\nEOF\n```\n\n"+
			"It can be reached:\n\n```bash\n$ kubectl exec \"$POD\" -c sleep -- curl -sI https://a%d.example | grep HTTP/\nHTTP/2 200\n"+
			"$ kubectl get pod -l app=sleep\nNAME                     READY   STATUS    RESTARTS   AGE\nsleep-5f7cbdff8f-x2abc   2/2     Running   0          42s\n```\n", i, i, i, i, i)
		if strings.Count(b.String()+part, "\n") > 600 {
			return b.String() + strings.Repeat("More is to be said.\n", 600-strings.Count(b.String(), "\n"))
		}
		b.WriteString(part)
	}
}

// BenchmarkLint600Lines reads and lints a page of 600 lines.
func BenchmarkLint600Lines(b *testing.B) {
	file := filepath.Join(b.TempDir(), "page.md")
	require.NoError(b, os.WriteFile(file, []byte(longPage()), 0o600))
	b.ReportAllocs()
	for b.Loop() {
		list, err := playbooks.Lint([]string{file}, playbooks.Options{Readers: map[string]playbooks.Reader{".md": NewReader(Options{}).Read}})
		require.NoError(b, err)
		require.Greater(b, len(list[0].Steps), 50)
	}
}
