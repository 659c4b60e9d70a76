package evidence

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A pod that has the address of a URL's host is no host outside of the cluster.
func TestImpostor(t *testing.T) {
	for _, c := range []struct {
		url, remote string
		change      func(*Attempt, *Transfer)
		want        string
	}{
		{"http://www.google.com/", "10.244.1.9:80", nil, "pod web in namespace shop"},
		{"http://www.google.com/", "127.0.0.1:80", nil, "the pod of the command itself"},
		{"http://www.google.com/", "[::1]:80", nil, "the pod of the command itself"},
		{"http://www.google.com/", "10.244.1.4:80", nil, "the pod of the command itself"},
		{"http://www.google.com/", "203.0.113.11:80", nil, ""},
		{"http://10.244.1.9/", "10.244.1.9:80", nil, ""},
		{"http://web/", "10.244.1.9:80", nil, ""},
		{"http://web.shop/", "10.244.1.9:80", nil, ""},
		{"http://web.shop.svc/", "10.244.1.9:80", nil, ""},
		{"http://web.shop.svc.example.com/", "10.244.1.9:80", nil, ""},
		{"http://localhost/", "127.0.0.1:80", nil, ""},
		{"http://www.google.com/", "10.244.1.9:80", func(a *Attempt, _ *Transfer) { a.Command.Curl.Redirected = true }, ""},
		{"http://www.google.com/", "10.244.1.9:80", func(_ *Attempt, x *Transfer) { x.Redirects = 1 }, ""},
	} {
		a := &Attempt{
			Command:   &Command{Pod: Pod{IP: "10.244.1.4"}, Curl: &Curl{}},
			Residents: []Pod{{Namespace: "shop", Name: "web", IP: "10.244.1.9"}},
		}
		x := &Transfer{URL: c.url, Remote: c.remote}
		if c.change != nil {
			c.change(a, x)
		}
		if got := a.Impostor(x); c.want == "" {
			assert.Empty(t, got, "%s at %s", c.url, c.remote)
		} else {
			assert.Contains(t, got, c.want, "%s at %s", c.url, c.remote)
		}
	}
}
