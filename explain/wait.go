package explain

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/nearest"
)

type unstructuredObject = unstructured.Unstructured

// waitFamily is about states that a wait step waits for and that do not come.
var waitFamily = family{"A wait that does not end", waits, []Cause{
	{"native-sidecar", "a JSON path of spec.containers does not find istio-proxy", "The pod has its sidecar among spec.initContainers (a native sidecar).", "Look in `spec.initContainers` as well."},
	{"container-waiting", "a rollout that does not end", "A container of the pod waits, such as for its image.", "Do what its message says."},
	{"volume-missing", "a rollout that does not end", "A Secret or a ConfigMap that a volume of the pod names is not there.", "Create it, or correct the volume."},
	{"container-ended", "a rollout that does not end", "A container of the pod ends again and again.", "Look at its log."},
	{"container-not-ready", "a rollout that does not end", "A container runs, and its readiness probe fails.", "Look at the probe and at the log."},
	{"not-scheduled", "a rollout that does not end", "No node takes the pod.", "Do what the scheduler's message says."},
	{"pods-refused", "a rollout that does not end", "The pods are not created: a quota, a webhook or a missing ServiceAccount.", "Do what the condition's message says."},
	{"job-failed", "a Job that does not complete", "The Job has failed.", "Look at the log of its pods."},
	{"waited-object-missing", "a wait for an object that is not there", "There is no object of that name.", "Correct the name: those that are there are told."},
	{"finalizer", "a wait for a deletion that does not end", "A finalizer keeps the object.", "Look who sets the finalizer, and why it does not drop it."},
}}

var waitedObject = regexp.MustCompile(`^([a-z]+)(?:\.[a-z0-9.]+)?/(\S+)$`)

// waits explains a wait step.
func waits(c *facts) []evidence.Finding {
	if c.Kind == "shell" {
		return c.shownSidecar()
	}
	if c.Kind != "wait" && c.Kind != "set" {
		return nil
	}
	if found := sidecarElsewhere(c); found != nil {
		return found
	}
	for i := range c.Verdicts {
		m := waitedObject.FindStringSubmatch(c.Verdicts[i].Subject())
		if m == nil {
			continue
		}
		if found := c.waited(m[1], m[2], c.Verdicts[i].Got); found != nil {
			return found
		}
	}
	if c.Kind == "set" && fieldMissing.MatchString(errorText(c.Error)) {
		return c.fieldOfPods()
	}
	return nil
}

var (
	// fieldMissing is how a set says that the object is there and what it looks for is not.
	fieldMissing = regexp.MustCompile(`^set \S+: \S+ is not found$`)
	podsWanted   = regexp.MustCompile(`kubectl (?:-n (\S+) )?get pods? -l '?([^ '\n]+)`)
)

// fieldOfPods explains a pod that has no value yet in a field of its status, such as its
// address: it does not run.
func (c *facts) fieldOfPods() []evidence.Finding {
	m := podsWanted.FindStringSubmatch(c.Command)
	if m == nil {
		return nil
	}
	all, err := c.e.Cluster.List(c.ctx, pods, c.in(), m[2])
	if err != nil || len(all) != 1 {
		return nil
	}
	return c.podOf(object{&all[0]})
}

// waited explains why an object is not as it is waited for.
func (c *facts) waited(kind, name, got string) []evidence.Finding {
	namespace := c.in()
	all, err := c.e.Cluster.List(c.ctx, kind, namespace, "")
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(all, func(o unstructuredObject) bool { return o.GetName() == name })
	if i < 0 {
		if got != "no such object" {
			return nil
		}
		var names []string
		for i := range all {
			names = append(names, all[i].GetName())
		}
		near := others(name, all)
		if _, ok := nearest.Name(name, names); !ok && len(names) > 3 {
			near = ""
		}
		return one(c.found("waited-object-missing", object{}, "metadata.name", fmt.Sprintf("kubectl -n %s get %s", namespace, kind),
			"There is no %s %s in namespace %s%s.", kind, name, namespace, near))
	}
	o := object{&all[i]}
	switch o.GetKind() {
	case "Job":
		return c.jobOf(o)
	case "Pod":
		return c.podOf(o)
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet":
		return c.workload(o)
	}
	if o.GetDeletionTimestamp() != nil && len(o.GetFinalizers()) > 0 {
		return one(c.found("finalizer", o, "metadata.finalizers", c.kubectl("get", o)+" -o yaml",
			"%s is to be deleted since %s, and is kept by its finalizers: %s.", c.name(o), ago(o.GetDeletionTimestamp().Time), strings.Join(o.GetFinalizers(), ", ")))
	}
	return nil
}

// jobOf explains a Job that does not complete.
func (c *facts) jobOf(o object) []evidence.Finding {
	for _, cond := range o.maps("status", "conditions") {
		if t := textAt(cond, "type"); (t == "Failed" || t == "FailureTarget") && textAt(cond, "status") == "True" {
			return one(c.found("job-failed", o, "status.conditions", fmt.Sprintf("kubectl -n %s logs job/%s", o.GetNamespace(), o.GetName()),
				"Job %s has failed (%s%s): %s%s", o.GetName(), textAt(cond, "reason"), since(textAt(cond, "lastTransitionTime")), short(textAt(cond, "message"), 120), c.endOfPods(o)))
		}
	}
	return c.podsOf(o)
}

// endOfPods returns a text about how the containers of a Job's pods ended.
func (c *facts) endOfPods(o object) string {
	for _, p := range c.list(pods) {
		if p.GetNamespace() != o.GetNamespace() || !selects(o.labels("spec", "selector", "matchLabels"), p.GetLabels()) {
			continue
		}
		for _, s := range p.maps("status", "containerStatuses") {
			if at(s, "state", "terminated") != nil && numberAt(s, "state", "terminated", "exitCode") != 0 {
				return fmt.Sprintf("; container %s of pod %s ended with exit code %d", textAt(s, "name"), p.GetName(), numberAt(s, "state", "terminated", "exitCode"))
			}
		}
	}
	return ""
}

// workload explains a workload whose pods are not ready, or not made.
func (c *facts) workload(o object) []evidence.Finding {
	if found := c.podsOf(o); found != nil {
		return found
	}
	for _, cond := range o.maps("status", "conditions") {
		if textAt(cond, "type") == "ReplicaFailure" && textAt(cond, "status") == "True" {
			return one(c.found("pods-refused", o, "status.conditions", c.kubectl("describe", o),
				"The pods of %s are not created (%s%s): %s", c.name(o), textAt(cond, "reason"), since(textAt(cond, "lastTransitionTime")), short(textAt(cond, "message"), 140)))
		}
	}
	return nil
}

// podsOf explains the pods that an object's selector selects: the newest one that is
// not ready.
func (c *facts) podsOf(o object) []evidence.Finding {
	selector := mapAt(o.Object, "spec", "selector")
	if selector == nil {
		return nil
	}
	all := c.list(pods)
	for i := len(all) - 1; i >= 0; i-- {
		p := all[i]
		if p.GetNamespace() == o.GetNamespace() && matchesSelector(selector, p.GetLabels()) && p.GetDeletionTimestamp() == nil {
			if found := c.podOf(p); found != nil {
				return found
			}
		}
	}
	return nil
}

// podOf explains a pod that is not ready: which container, why, and since when.
func (c *facts) podOf(p object) []evidence.Finding {
	for _, cond := range p.maps("status", "conditions") {
		if textAt(cond, "type") == "PodScheduled" && textAt(cond, "status") == "False" {
			return one(c.found("not-scheduled", p, "status.conditions", c.kubectl("describe", p),
				"No node takes pod %s (%s%s): %s", p.GetName(), textAt(cond, "reason"), since(textAt(cond, "lastTransitionTime")), short(textAt(cond, "message"), 140)))
		}
	}
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		for i, s := range p.maps("status", list) {
			name, field := textAt(s, "name"), fmt.Sprintf("status.%s[%d].state", list, i)
			logs := fmt.Sprintf("kubectl -n %s logs %s -c %s", p.GetNamespace(), p.GetName(), name)
			reason := textAt(s, "state", "waiting", "reason")
			last := mapAt(s, "lastState", "terminated")
			switch {
			case reason == "CrashLoopBackOff" || last != nil && reason != "":
				return one(c.found("container-ended", p, field, logs+" --previous",
					"Container %s of pod %s ends again and again (%d restarts): last with exit code %d%s%s.", name, p.GetName(), numberAt(s, "restartCount"),
					numberAt(last, "exitCode"), reasonOf(last), since(textAt(last, "finishedAt"))))
			case reason == "ContainerCreating" || reason == "PodInitializing":
				if found := c.volumeMissing(p); found != nil {
					return found
				}
			case reason != "":
				return one(c.found("container-waiting", p, field, c.kubectl("describe", p),
					"Container %s of pod %s waits (%s%s): %s", name, p.GetName(), reason, since(p.text("status", "startTime")), short(cmp.Or(textAt(s, "state", "waiting", "message"), "no message"), 220)))
			case list == "containerStatuses" && at(s, "state", "terminated") != nil && numberAt(s, "state", "terminated", "exitCode") != 0:
				t := mapAt(s, "state", "terminated")
				return one(c.found("container-ended", p, field, logs,
					"Container %s of pod %s has ended with exit code %d%s%s.", name, p.GetName(), numberAt(t, "exitCode"), reasonOf(t), since(textAt(t, "finishedAt"))))
			}
			if ready, set := at(s, "ready").(bool); list == "containerStatuses" && set && !ready && at(s, "state", "running") != nil {
				if name == "istio-proxy" {
					if found := c.fromIstiod(p); found != nil {
						return found
					}
				}
				return one(c.found("container-not-ready", p, field, logs,
					"Container %s of pod %s runs%s, but is not ready: its readiness probe does not succeed.", name, p.GetName(), since(textAt(s, "state", "running", "startedAt"))))
			}
		}
	}
	return nil
}

// volumeMissing explains a pod whose containers are not made: a Secret or a ConfigMap
// of its volumes does not exist.
func (c *facts) volumeMissing(p object) []evidence.Finding {
	var missing []evidence.Finding
	for i, v := range p.maps("spec", "volumes") {
		field := fmt.Sprintf("spec.volumes[%d]", i)
		refs := []volumeRef{
			{"Secret", textAt(v, "secret", "secretName"), field + ".secret", at(v, "secret", "optional")},
			{"ConfigMap", textAt(v, "configMap", "name"), field + ".configMap", at(v, "configMap", "optional")},
		}
		for j, s := range mapsAt(v, "projected", "sources") {
			of := fmt.Sprintf("%s.projected.sources[%d]", field, j)
			refs = append(refs,
				volumeRef{"Secret", textAt(s, "secret", "name"), of + ".secret", at(s, "secret", "optional")},
				volumeRef{"ConfigMap", textAt(s, "configMap", "name"), of + ".configMap", at(s, "configMap", "optional")})
		}
		for _, r := range refs {
			if r.name == "" || r.optional == true {
				continue
			}
			if _, gone := c.get(cluster.Ref{APIVersion: "v1", Kind: r.kind, Namespace: p.GetNamespace(), Name: r.name}); gone {
				missing = append(missing, c.found("volume-missing", p, r.field, fmt.Sprintf("kubectl -n %s get %ss", p.GetNamespace(), strings.ToLower(r.kind)),
					"Pod %s waits for %s %s, which is not in namespace %s (%s).", p.GetName(), r.kind, r.name, p.GetNamespace(), r.field))
			}
		}
	}
	return missing[:min(len(missing), 1)] // the pod waits for this one, whatever else it lacks
}

// A volumeRef names the object that a volume is made of.
type volumeRef struct {
	kind, name, field string
	optional          any
}

func reasonOf(terminated map[string]any) string {
	reason := textAt(terminated, "reason")
	if reason == "" || reason == "Error" || reason == "Completed" {
		return ""
	}
	return " (" + reason + ")"
}

// since returns a text for how long something has been so, by the time of the API
// server.
func since(timestamp string) string {
	t, err := time.Parse(time.RFC3339, timestamp)
	if err != nil {
		return ""
	}
	return ", since " + t.UTC().Format("15:04:05")
}

func ago(t time.Time) string { return t.UTC().Format("15:04:05") }

// isReady reports whether a pod is ready.
func isReady(p object) bool {
	return slices.ContainsFunc(p.maps("status", "conditions"), func(c map[string]any) bool {
		return textAt(c, "type") == "Ready" && textAt(c, "status") == "True"
	})
}

// whyNotReady returns why a pod is not ready, "" if it is.
func whyNotReady(p object) string {
	if isReady(p) {
		return ""
	}
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, s := range p.maps("status", list) {
			if reason := textAt(s, "state", "waiting", "reason"); reason != "" {
				return "container " + textAt(s, "name") + " waits: " + reason
			}
			if at(s, "state", "terminated") != nil && numberAt(s, "state", "terminated", "exitCode") != 0 {
				return fmt.Sprintf("container %s has ended with exit code %d", textAt(s, "name"), numberAt(s, "state", "terminated", "exitCode"))
			}
		}
	}
	return "it is " + cmp.Or(p.text("status", "phase"), "new")
}

// sidecarElsewhere reports that a pod has its sidecar among the init containers, where
// a JSON path of a step does not look.
func sidecarElsewhere(c *facts) []evidence.Finding {
	if !strings.Contains(c.Command, "spec.containers") {
		return nil
	}
	name := podNamed(c.Command)
	if name == "" {
		return nil
	}
	pod, _ := c.get(cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: c.in(), Name: name})
	if pod.none() {
		return nil
	}
	if found := c.nativeSidecar(pod); found != nil {
		return found
	}
	all := slices.Concat(pod.maps("spec", "initContainers"), pod.maps("spec", "containers"))
	proxy := func(container map[string]any) bool { return textAt(container, "name") == "istio-proxy" }
	if c.wanted(func(v *evidence.Verdict) bool { return strings.HasSuffix(v.Want, "=istio-proxy") }) && !slices.ContainsFunc(all, proxy) {
		return c.whyNoSidecar(pod)
	}
	return nil
}

// nativeSidecar says that a pod has its sidecar among the init containers.
func (c *facts) nativeSidecar(pod object) []evidence.Finding {
	for _, init := range pod.maps("spec", "initContainers") {
		if textAt(init, "name") == "istio-proxy" && textAt(init, "restartPolicy") == "Always" {
			return one(c.found("native-sidecar", pod, "spec.initContainers", fmt.Sprintf("kubectl -n %s get pod %s -o jsonpath='{.spec.initContainers[*].name}'", pod.GetNamespace(), pod.GetName()),
				"Pod %s has its sidecar istio-proxy in spec.initContainers (a native sidecar), not in spec.containers.", pod.GetName()))
		}
	}
	return nil
}

// shownSidecar explains that a tutorial shows istio-proxy among the containers of a pod
// which has none: where a script looks at the containers of one pod, by its name.
func (c *facts) shownSidecar() []evidence.Finding {
	wanted := func(v *evidence.Verdict) bool {
		return v.Outcome == evidence.NotHeld && strings.Contains(v.Want, "istio-proxy") && !strings.Contains(v.Got, "istio-proxy")
	}
	if c.Attempt == nil || c.Attempt.Shell == nil || !c.wanted(wanted) {
		return nil
	}
	var looks []evidence.Stage
	for _, s := range c.Attempt.Shell.Stages {
		if !s.Inner && !s.Behind {
			looks = append(looks, s)
		}
	}
	if len(looks) != 1 {
		return nil
	}
	argv, namespace := looks[0].Argv, c.Namespace
	if i := slices.Index(argv, "-n"); i >= 0 && i+1 < len(argv) {
		namespace = argv[i+1]
	}
	if len(argv) < 4 || argv[1] != "get" || !slices.Contains([]string{"pod", "pods", "po"}, argv[2]) || !strings.Contains(strings.Join(argv, " "), "{.spec.containers[*].name}") {
		return nil
	}
	pod, _ := c.get(cluster.Ref{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: argv[3]})
	if pod.none() || slices.ContainsFunc(pod.maps("spec", "containers"), func(m map[string]any) bool { return textAt(m, "name") == "istio-proxy" }) {
		return nil
	}
	if found := c.nativeSidecar(pod); found != nil {
		return found
	}
	return c.whyNoSidecar(pod)
}

// podNamed returns the name behind "pod/" in a command.
func podNamed(command string) string {
	_, rest, found := strings.Cut(command, "pod/")
	if !found {
		return ""
	}
	name, _, _ := strings.Cut(rest, " ")
	return strings.Trim(name, `'"`)
}
