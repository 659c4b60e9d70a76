package lint_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/egressplay/egressplay/lint"
)

// check returns what is wrong with manifests, a line each: its place and its rule.
func check(manifests ...string) (problems []string) {
	var all []lint.Manifest
	for _, m := range manifests {
		all = append(all, lint.Manifest{Text: m, Namespace: "default"})
	}
	for _, p := range lint.Check(all, true) {
		problems = append(problems, fmt.Sprintf("%d:%d:%d %s: %s", p.Manifest, p.Line, p.Column, p.Rule, p.Msg))
	}
	return problems
}

const (
	entry = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec: {hosts: [%s], exportTo: [%s], ports: [{number: 80, name: http, protocol: HTTP}]}
`
	service = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [%s]
  gateways: [%s]
  http:
  - route: [{destination: {host: %s}}]
`
	subset = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [reviews]
  http:
  - route: [{destination: {host: reviews, subset: %s}}]
`
	rule = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec:
  host: %s
  subsets: [{name: v1}, {name: v2}]
`
	port = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.example.com]
  ports: [{number: 80, name: %s, protocol: %s}]
`
)

func f(format string, args ...any) string { return fmt.Sprintf(format, args...) }

func TestHostsThatNobodyDeclares(t *testing.T) {
	route := func(host string) string { return f(service, host, "mesh", host) }
	for _, c := range []struct {
		name      string
		manifests []string
		want      []string
	}{
		{"declared", []string{f(entry, "a.example.com", "'*'"), route("a.example.com")}, nil},
		{"declared later", []string{route("a.example.com"), f(entry, "a.example.com", "'*'")}, nil},
		{"by a wildcard", []string{f(entry, "'*.example.com'", "'*'"), route("a.example.com")}, nil},
		{"a wildcard over one that is declared", []string{f(entry, "a.example.com", "'*'"), route("'*.example.com'")}, nil},
		{"by a variable", []string{f(entry, "'${HOST}'", "'*'"), route("a.example.com")}, nil},
		{"a letter wrong", []string{f(entry, "a.example.com", "'*'"), route("a.exmaple.com")}, []string{
			"1:5:11 undeclared-host: no ServiceEntry of this playbook declares a.exmaple.com"}},
		{"not for this namespace", []string{f(entry, "a.example.com", "other"), route("a.example.com")}, []string{
			"1:5:11 undeclared-host: no ServiceEntry of this playbook declares a.example.com"}},
		{"for this namespace", []string{f(entry, "a.example.com", "."), route("a.example.com")}, nil},
		{"Services", []string{route("reviews"), route("reviews.other"), route("reviews.other.svc.cluster.local"), route("reviews.other.svc")}, nil},
		{"a domain of two parts", []string{route("httpbin.org")}, []string{
			"0:5:11 undeclared-host: no ServiceEntry of this playbook declares httpbin.org"}},
		{"at a gateway only", []string{f(service, "a.example.com", "gate", "reviews")}, nil},
		{"from a gateway", []string{f(service, "reviews", "gate", "a.example.com")}, []string{
			"0:8:34 undeclared-host: no ServiceEntry of this playbook declares a.example.com"}},
		{"a rule", []string{f(rule, "a.example.com")}, []string{
			"0:5:9 undeclared-host: no ServiceEntry of this playbook declares a.example.com"}},
	} {
		assert.Equal(t, c.want, check(c.manifests...), c.name)
	}
}

func TestSubsetsThatNobodyDefines(t *testing.T) {
	assert.Empty(t, check(f(subset, "v1"), f(rule, "reviews")))
	assert.Empty(t, check(f(subset, "v1"), f(rule, "reviews.default.svc.cluster.local")))
	want := []string{"0:7:51 undefined-subset: no DestinationRule of this playbook defines the subset v3 of reviews"}
	assert.Equal(t, want, check(f(subset, "v3"), f(rule, "reviews")))
	assert.Equal(t, want, check(f(subset, "v3"), f(rule, "ratings")))
}

func TestNamesOfPorts(t *testing.T) {
	for _, c := range []struct {
		name, protocol string
		wrong          bool
	}{
		{"http", "HTTP", false}, {"http-a", "HTTP2", false}, {"grpc", "GRPC", false}, {"tls", "HTTPS", false}, {"https-port", "TLS", false},
		{"port", "TCP", false}, {"mongo-db", "MONGO", false}, {"grpc", "GRPC-Web", false},
		{"https-port", "HTTP", true}, {"http-port", "TLS", true}, {"tcp", "HTTP", true}, {"http", "TCP", true}, {"mysql", "TCP", true},
	} {
		if got := check(f(port, c.name, c.protocol)); c.wrong {
			assert.Len(t, got, 1, "%s %s", c.name, c.protocol)
			assert.Contains(t, got[0], "0:6:30 port-name: ")
		} else {
			assert.Empty(t, got, "%s %s", c.name, c.protocol)
		}
	}
}

// A comment ignores one rule on its line or the next, with a reason; one that ignores
// nothing is a problem itself.
func TestIgnoring(t *testing.T) {
	const host = "  hosts: [a.example.com]"
	with := func(line string) string {
		return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n" + line + "\n  http: []\n"
	}
	for _, c := range []struct {
		line string
		want []string
	}{
		{host + " # lint: ignore undeclared-host the platform team declares it", nil},
		{"  # lint: ignore undeclared-host the platform team declares it\n" + host, nil},
		{"  # lint: ignore undeclared-host the platform team declares it\n  # as it says\n" + host, nil},
		{host + " # lint: ignore undeclared-host", []string{"0:5:26 ignore: the rule undeclared-host is ignored without a reason"}},
		{host + " # lint: ignore undeclared-hosts why", []string{
			"0:5:11 undeclared-host: no ServiceEntry of this playbook declares a.example.com", `0:5:26 ignore: there is no rule "undeclared-hosts" to ignore`}},
		{host + " # lint: ignore port-name why", []string{
			"0:5:11 undeclared-host: no ServiceEntry of this playbook declares a.example.com", "0:5:26 ignore: the rule port-name has nothing to say of this line"}},
	} {
		assert.Equal(t, c.want, check(with(c.line)), "%s", c.line)
	}
}

// Where some of the playbook cannot be read, nothing is compared.
func TestPartOfAPlaybook(t *testing.T) {
	m := lint.Manifest{Text: f(service, "a.example.com", "mesh", "b.example.com") + "  tsl: []\n"}
	problems := lint.Check([]lint.Manifest{m}, false)
	assert.Len(t, problems, 1)
	assert.Contains(t, problems[0].Msg, "tsl")
}
