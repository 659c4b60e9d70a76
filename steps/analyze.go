package steps

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/shell"
)

// analyzing is a command line of istioctl analyze.
type analyzing struct {
	namespace string // "" for the run's
	all       bool   // it looks at all namespaces
}

// parseAnalyze reads an istioctl command line, whose first word is istioctl, and reports
// whether it is analyze. An error is why it cannot stand in a script.
func parseAnalyze(argv []string) (look *analyzing, is bool, err error) {
	look = &analyzing{}
	var words, unknown []string
	for i := 1; i < len(argv); i++ {
		name, value, given := strings.Cut(argv[i], "=")
		switch {
		case !strings.HasPrefix(name, "-"):
			words = append(words, argv[i])
		case name == "-n" || name == "--namespace":
			if !given {
				if i++; i == len(argv) {
					return nil, false, fmt.Errorf("istioctl: %s has no value", name)
				}
				value = argv[i]
			}
			look.namespace = value
		case (name == "-A" || name == "--all-namespaces") && (!given || value == "true"):
			look.all = true
		case name == "--color" || name == "--verbose" || name == "-v":
			// It says the same.
		default:
			unknown = append(unknown, argv[i])
		}
	}
	if len(words) == 0 || words[0] != "analyze" {
		return nil, false, nil
	}
	switch {
	case len(unknown) > 0:
		return nil, true, fmt.Errorf("istioctl analyze: %s is not known here, but --namespace and --all-namespaces are", unknown[0])
	case len(words) > 1:
		return nil, true, fmt.Errorf("istioctl analyze looks here at what the cluster has, not at files: %s", words[1])
	}
	return look, true, nil
}

// checkIstioctl returns why an istioctl command line cannot stand in a script.
func checkIstioctl(argv []string) error {
	if _, is, err := parseAnalyze(argv); is || err != nil {
		return err
	}
	_, err := parseProxyConfig(argv)
	return err
}

// analyze has Istio's own program look.
func (p *istioctlProgram) analyze(ctx context.Context, look *analyzing) (shell.Result, error) {
	if p.scope.Analyze == nil {
		return shell.Result{}, errors.New("istioctl analyze needs Istio's own istioctl, which is there only in a lab of this machine: \"requires: [istioctl]\" skips the playbook elsewhere")
	}
	args := []string{"--namespace", look.namespace}
	switch {
	case look.all:
		args = []string{"--all-namespaces"}
	case look.namespace == "":
		args[1] = p.scope.Namespace
	}
	a, err := p.scope.Analyze(ctx, args)
	if err != nil {
		return shell.Result{}, err
	}
	result := shell.Result{Stdout: a.Stdout, Last: a.Stderr, Truncated: a.Truncated}
	if a.Found {
		result.Code = evidence.FoundIssues
	}
	return result, nil
}
