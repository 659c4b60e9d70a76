//go:build lab

package networkpolicy

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/egressplay/egressplay/lab/network"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestLabelsChange(t *testing.T) {
	l := town(t)
	l.policy("shop/web", `
podSelector: {matchLabels: {app: web}}
ingress: [{from: [{namespaceSelector: {matchLabels: {kind: private}}}, {podSelector: {matchLabels: {app: client}}}]}]`)
	l.check([]string{"bank/teller -> shop/web:80", "shop/client -> shop/web:80"}, []string{"shop/other -> shop/web:80"})

	l.namespace("bank", "kind: public")
	l.namespace("shop", "kind: private")
	l.check([]string{"shop/client -> shop/web:80", "shop/other -> shop/web:80"}, []string{"bank/teller -> shop/web:80"})

	l.namespace("shop", "")
	l.label("shop/client", "app: other")
	l.check(nil, []string{"shop/client -> shop/web:80", "shop/other -> shop/web:80"})

	l.label("shop/web", "app: free")
	l.check([]string{"shop/client -> shop/web:80", "bank/teller -> shop/web:80"}, nil)
}

func (l *lab) label(pod, labels string) {
	l.t.Helper()
	p := l.pods[pod]
	o, err := l.client.CoreV1().Pods(p.Namespace).Get(l.t.Context(), p.Name, metav1.GetOptions{})
	require.NoError(l.t, err)
	o.Labels = parseLabels(l.t, labels)
	l.put(o)
}

func TestPolicyChanges(t *testing.T) {
	l := town(t)
	l.policy("shop/web", `{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 80}]}]}`)
	l.check([]string{"shop/client -> shop/web:80"}, []string{"shop/client -> shop/web:443"})
	l.policy("shop/web", `{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 443}]}]}`)
	l.check([]string{"shop/client -> shop/web:443"}, []string{"shop/client -> shop/web:80"})
}

func TestConnectionsSurvive(t *testing.T) {
	l := town(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	to := l.pods["shop/web"].ip.String()
	conn, err := l.pods["shop/client"].ns.Dial(ctx, "tcp", to+":80")
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, say(ctx, conn))

	l.policy("shop/deny", `{podSelector: {}, policyTypes: [Ingress, Egress]}`)
	l.check(nil, []string{"shop/client -> shop/web:80"})
	require.NoError(t, say(ctx, conn))
}

// The rules of a controller that has ended stay, and the next controller replaces them.
func TestControllerStartsAgain(t *testing.T) {
	l := town(t)
	l.policy("shop/deny", `{podSelector: {matchLabels: {app: web}}}`)
	open, shut := []string{"shop/client -> shop/other:80", "node -> shop/web:80"}, []string{"shop/client -> shop/web:80"}
	l.check(open, shut)
	l.stop()
	l.check(open, shut)

	policies := l.client.NetworkingV1().NetworkPolicies("shop")
	require.NoError(t, policies.Delete(t.Context(), "deny", metav1.DeleteOptions{}))
	nft(t, "add rule ip networkpolicy forward tcp dport 443 drop") // someone else was here
	l.check(open, append(shut, "shop/client -> shop/other:443"))
	l.start()
	l.settle()
	l.check(append(shut, "shop/client -> shop/other:443"), nil)
}

// eager makes a pod's network and, before anyone else knows of the pod, lets it call
// and be called, again and again.
type eager struct {
	*network.Pods
	made func(testPod)
}

func (e eager) Add(ctx context.Context, id string, sysctls map[string]string) (netip.Addr, string, error) {
	ip, path, err := e.Pods.Add(ctx, id, sysctls)
	if err != nil {
		return ip, path, err
	}
	ns, err := network.OpenNamespace(path)
	if err != nil {
		return ip, path, err
	}
	e.made(testPod{ip: ip, ns: ns})
	return ip, path, nil
}

// However early a pod calls or is called, only what its policies allow passes; what
// they allow passes in the end.
func TestNewPodIsNeverOpen(t *testing.T) {
	outward, inward, fromNode := []string{"new -> shop/other:80", "new -> node:80", "new -> " + standIn + ":80"},
		[]string{"shop/other -> new:80"}, "node -> new:80"
	tests := []struct {
		name, policy string
		open, shut   []string
	}{
		{"isolated", `{podSelector: {matchLabels: {app: new}}, policyTypes: [Ingress, Egress]}`, nil, slices.Concat(outward, inward)},
		{"isolated in one direction", `{podSelector: {matchLabels: {app: new}}}`, outward, inward},
		{"allowed", `{podSelector: {matchLabels: {app: new}}, ingress: [{}], egress: [{}]}`, slices.Concat(outward, inward), nil},
		{"not selected", `{podSelector: {matchLabels: {app: old}}, policyTypes: [Ingress, Egress]}`, slices.Concat(outward, inward), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := town(t)
			l.policy("shop/new", tt.policy)
			var attempts []*attempt
			l.network.Pods = eager{Pods: l.network.Pods.(*network.Pods), made: func(p testPod) {
				listener, err := p.ns.Listen("tcp", ":80")
				require.NoError(t, err)
				t.Cleanup(func() { listener.Close() })
				go echo(listener)
				l.pods["new"] = &p
				attempts = nil
				for _, c := range slices.Concat(tt.open, tt.shut, []string{fromNode}) {
					attempts = append(attempts, l.try(c))
				}
			}}
			for i := range 50 {
				l.bare(fmt.Sprint("shop/new", i), "app: new", `{}`)
				for _, a := range attempts {
					if slices.Contains(tt.shut, a.call) {
						continue
					}
					select {
					case <-a.ended:
					case <-time.After(patience):
						require.Fail(t, "pod cannot be reached or cannot reach", "%s, pod %d", a.call, i)
					}
				}
				for _, a := range attempts {
					a.cancel()
					<-a.ended
					if slices.Contains(tt.shut, a.call) {
						require.False(t, a.answered, "%s, pod %d", a.call, i)
					}
				}
				delete(l.pods, "new")
			}
		})
	}
}

// attempt is a call that is made again and again until it is answered.
type attempt struct {
	call     string
	cancel   context.CancelFunc
	ended    chan struct{}
	answered bool // valid once it has ended
}

func (l *lab) try(call string) *attempt {
	ctx, cancel := context.WithCancel(l.t.Context())
	a := &attempt{call: call, cancel: cancel, ended: make(chan struct{})}
	from, to, _ := strings.Cut(call, " -> ")
	begin := l.caller(from, to) // looks at the pods, which change
	go func() {
		defer close(a.ended)
		for ctx.Err() == nil && !a.answered {
			a.answered = begin(ctx, 50*time.Millisecond) == nil
		}
	}()
	return a
}
