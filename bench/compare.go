package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A comparison is one piece of work, done in several ways.
type comparison struct {
	what string
	// step is the work as steps of a playbook.
	step string
	// clientGo does it once with client-go.
	clientGo func(context.Context, *lab) error
	// kubectl does it once in a shell, where $KUBECTL is the command and $POD
	// the pod.
	kubectl string
}

var comparisons = []comparison{
	{
		what:     "exec of curl -sI http://edition.cnn.com/politics",
		step:     "- {title: curl, exec: curl -sI http://edition.cnn.com/politics}\n",
		clientGo: execOnce,
		kubectl:  `$KUBECTL exec -n bench "$POD" -c sleep -- curl -sI http://edition.cnn.com/politics >/dev/null`,
	},
	{
		what: "apply, get and delete of a ConfigMap, until it is gone, with the journal of a standing cluster",
		step: "- title: apply\n  apply: |\n    " + strings.ReplaceAll(strings.TrimRight(configMap, "\n"), "\n", "\n    ") + "\n" +
			"- {title: get, wait: {object: configmap/bench, for: create}}\n" +
			"- {title: delete, delete: configmap/bench}\n",
		clientGo: objectOnce,
		kubectl: `printf '%s' "$CONFIGMAP" | $KUBECTL apply -n bench -f - >/dev/null &&
$KUBECTL get -n bench configmap/bench >/dev/null &&
$KUBECTL delete -n bench configmap/bench >/dev/null`,
	},
}

// The ways in which a comparison does its work, as they are printed.
const (
	wayPlaybook = "egressplay, the playbook's own time"
	wayProcess  = "egressplay, from start to exit"
	wayClientGo = "client-go loop"
	wayKubectl  = "kubectl script"
)

// kubectlShare is how much less often kubectl does it in a round: it takes its
// time.
const kubectlShare = 5

// compare does the work in each way in turn, in several rounds, so that what
// else the machine does meets all of them alike, and prints the medians.
func (b *bench) compare(ctx context.Context, l *lab, c comparison) error {
	took := map[string][]time.Duration{} // of doing it once, by way
	file := filepath.Join(b.dir, "compare.yaml")
	text := "apiVersion: egressplay/v1\nkind: Playbook\nname: bench\ndefaults: {in: " + l.pod + ", container: sleep, namespace: bench}\nsteps:\n"
	if err := os.WriteFile(file, []byte(text+strings.Repeat(c.step, b.steps)), 0o644); err != nil {
		return err
	}
	for range b.rounds {
		playbook, process, err := b.playbookTime(ctx, file)
		if err != nil {
			return err
		}
		n := time.Duration(b.steps)
		took[wayPlaybook] = append(took[wayPlaybook], playbook/n)
		took[wayProcess] = append(took[wayProcess], process/n)

		started := time.Now()
		for range b.steps {
			if err := c.clientGo(ctx, l); err != nil {
				return fmt.Errorf("client-go: %s: %w", c.what, err)
			}
		}
		took[wayClientGo] = append(took[wayClientGo], time.Since(started)/n)

		few := max(b.steps/kubectlShare, 1)
		started = time.Now()
		if err := b.kubectlScript(ctx, l, c.kubectl, few); err != nil {
			return err
		}
		took[wayKubectl] = append(took[wayKubectl], time.Since(started)/time.Duration(few))
	}

	fmt.Printf("\n%s\n%d in a round (kubectl %d), %d rounds; median, and from the quickest round to the slowest\n",
		c.what, b.steps, max(b.steps/kubectlShare, 1), b.rounds)
	base := median(took[wayClientGo])
	for _, way := range []string{wayPlaybook, wayProcess, wayClientGo, wayKubectl} {
		m := median(took[way])
		fmt.Printf("  %-36s %7.2f ms  %5.2f x client-go  (%.2f to %.2f ms)\n",
			way, ms(m), float64(m)/float64(base), ms(slices.Min(took[way])), ms(slices.Max(took[way])))
	}
	return nil
}

// playbookTime runs a playbook and returns how long it took by its report, and
// how long the program took.
func (b *bench) playbookTime(ctx context.Context, file string) (playbook, process time.Duration, err error) {
	report := filepath.Join(b.dir, "report.json")
	started := time.Now()
	if _, err := output(b.program(ctx, "egressplay", "run", file, "--report", "json="+report)); err != nil {
		return 0, 0, err
	}
	process = time.Since(started)
	text, err := os.ReadFile(report)
	if err != nil {
		return 0, 0, err
	}
	var doc struct {
		Playbooks []struct {
			DurationMS int64 `json:"durationMs"`
		} `json:"playbooks"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return 0, 0, fmt.Errorf("read the report: %w", err)
	}
	if len(doc.Playbooks) != 1 {
		return 0, 0, fmt.Errorf("the report has %d playbooks, want one", len(doc.Playbooks))
	}
	return time.Duration(doc.Playbooks[0].DurationMS) * time.Millisecond, process, nil
}

// kubectlScript does it n times in a shell.
func (b *bench) kubectlScript(ctx context.Context, l *lab, once string, n int) error {
	script := fmt.Sprintf("i=0; while [ $i -lt %d ]; do\n%s || exit 1\ni=$((i+1)); done", n, once)
	lab, err := filepath.Abs(filepath.Join(b.bin, "egressplay-lab"))
	if err != nil {
		return err
	}
	cmd := b.program(ctx, "egressplay-lab")
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", script}
	cmd.Env = append(os.Environ(), "KUBECTL="+lab+" kubectl", "POD="+l.pod, "CONFIGMAP="+configMap)
	_, err = output(cmd)
	return err
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
