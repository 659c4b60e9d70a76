package pages

import (
	"testing"

	"github.com/egressplay/egressplay/playbooks"
)

// FuzzRead gives pages of any kind to the reader. Each error has a place in the
// page.
func FuzzRead(f *testing.F) {
	f.Add(deploySleep)
	f.Add(twoTabs)
	f.Add("```\n$ kubectl exec -it x-5f7cbdff8f-x2abc -- sh\n$ curl u | grep x\n$ exit\n```\n")
	f.Add("<!-- egressplay\n- a\n-->\n```bash\ncat <<EOF > f\n$X\nEOF\nkubectl apply -f f\nopenssl req -x509 -subj / -keyout a -out b\n```\n")
	f.Add("---\n```sh\nkubectl -n\nkubectl create secret\nistioctl install <a> --set\nfor i in a; do kubectl get pod; done; echo “\n")
	f.Add("```\nkubectl get cm istio -n istio-system -o yaml | grep mode | head -1\nmode: ALLOW_ANY\nb\n```\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := NewReader(Options{})
		root, errs := r.Read(playbooks.Source{Name: "page", File: "nowhere/page.md", Data: []byte(text)})
		if (root == nil) == (len(errs) == 0) {
			t.Fatalf("a playbook, and errors %v", errs)
		}
		for _, e := range errs {
			if e.Line < 1 || e.Column < 1 {
				t.Errorf("no place: %v", e)
			}
		}
	})
}
