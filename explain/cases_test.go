package explain_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/cluster/clustertest"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/explain"
)

// A recorded case is what was known of a failure.
type recorded struct {
	Name string `json:"name"`
	// Code is the cause; "" if none must be named. Says are parts of its text.
	Code string   `json:"code"`
	Says []string `json:"says"`
	// Not are causes with the same symptom. None of them must be named.
	Not causes `json:"not"`

	URL       string             `json:"url"`
	Exit      int                `json:"exit"`
	Status    int                `json:"status"`
	Remote    string             `json:"remote"`
	Redirects int                `json:"redirects"`
	CurlError string             `json:"curlError"`
	Printed   string             `json:"printed"`
	Proxy     string             `json:"proxy"`
	NoSidecar bool               `json:"noSidecar"`
	LogOff    string             `json:"logOff"`
	Partial   string             `json:"partial"`
	Sidecar   *evidence.Line     `json:"sidecar"`
	Gateway   *evidence.Line     `json:"gateway"`
	Claims    evidence.Verdicts  `json:"claims"`
	Changes   []evidence.Change  `json:"changes"`
	Kind      string             `json:"kind"`
	Command   string             `json:"command"`
	Error     string             `json:"error"`
	Envoy     map[string]string  `json:"envoy"` // what the proxies answer, by the path's beginning
	Arrived   []evidence.Arrival `json:"arrived"`
	World     string             `json:"world"`

	NoKind   *cluster.NoKindError   `json:"noKind"`
	NotReady *cluster.NotReadyError `json:"notReady"`
}

// causes are codes of causes: one, or a list of them.
type causes []string

func (c *causes) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*c = causes{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(c))
}

func (r *recorded) failure() explain.Failure {
	f := explain.Failure{Kind: r.Kind, Command: r.Command, Namespace: "default", IstioNamespace: "istio-system", Verdicts: r.Claims, Changes: r.Changes}
	if r.Error != "" {
		f.Error = errors.New(r.Error)
	}
	if r.NoKind != nil {
		f.Error = r.NoKind
	}
	if r.NotReady != nil {
		f.Error = r.NotReady
	}
	if r.URL == "" {
		return f
	}
	f.Kind = "exec"
	pod := evidence.Pod{Namespace: "default", Name: "curl-1", Container: "curl", Sidecar: !r.NoSidecar}
	a := &evidence.Attempt{
		Command:   &evidence.Command{Pod: pod, Stdout: r.Printed, Argv: []string{"curl", r.URL}, Curl: &evidence.Curl{Proxy: r.Proxy}},
		Transfers: []evidence.Transfer{{URL: r.URL, ExitCode: r.Exit, Status: r.Status, Remote: r.Remote, Redirects: r.Redirects, Error: r.CurlError}},
	}
	if !r.NoSidecar {
		a.Proxies = []evidence.Proxy{{Name: evidence.Sidecar, Pod: pod, Log: evidence.Log{Read: r.LogOff == "", Off: r.LogOff, Partial: r.Partial}}}
	}
	if r.Sidecar != nil {
		l := *r.Sidecar
		l.Proxy, l.By, l.Pod = evidence.Sidecar, evidence.ByConnection, "curl-1"
		a.Lines = append(a.Lines, l)
	}
	if r.Gateway != nil {
		l := *r.Gateway
		l.Proxy, l.By, l.Pod = "egressgateway", evidence.ByHop, "gateway-1"
		a.Lines = append(a.Lines, l)
		a.Proxies = append(a.Proxies, evidence.Proxy{Name: "egressgateway", Pod: evidence.Pod{Namespace: "istio-system", Name: "gateway-1", Sidecar: true}, Log: evidence.Log{Read: true}})
	}
	if r.Arrived != nil {
		a.Arrivals = &evidence.Arrivals{Recorded: true, All: r.Arrived}
	}
	f.Attempt = a
	return f
}

func (r *recorded) explain(t *testing.T, more string) []evidence.Finding {
	t.Helper()
	return r.explainer(t, more).Explain(t.Context(), r.failure())
}

// worldOf returns a cluster with objects.
func worldOf(t *testing.T, text string) *clustertest.Fake {
	t.Helper()
	fake := clustertest.NewFake().WithGatewayAPI()
	for _, o := range objects(t, text) {
		fake.Put(o)
	}
	return fake
}

// explainer returns one in the world of the case, with more objects in it.
func (r *recorded) explainer(t *testing.T, more string) *explain.Explainer {
	t.Helper()
	e := &explain.Explainer{Cluster: worldOf(t, r.World+"\n---\n"+more)}
	if r.Envoy != nil {
		e.Config = func(_ context.Context, _, _, path string) (string, error) {
			for begins, answer := range r.Envoy {
				if strings.HasPrefix(path, begins) {
					return answer, nil
				}
			}
			return "{}", nil
		}
	}
	return e
}

// A symptom is what a reader sees of a failure before anything explains it.
type symptom struct {
	kind         string
	exit, status int
}

func (r *recorded) symptom() symptom { return symptom{r.Kind, r.Exit, r.Status} }

// recordedCases returns all cases by their file's name.
func recordedCases(t *testing.T) map[string][]recorded {
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := map[string][]recorded{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var cases []recorded
		require.NoError(t, yaml.UnmarshalStrict(data, &cases), file)
		all[filepath.Base(file)] = cases
	}
	return all
}

// Each cause is named on recorded facts, with and without unrelated objects in the
// cluster. It is not named where another cause, or none that is known, has the same
// symptom.
func TestRecordedCases(t *testing.T) {
	for file, all := range recordedCases(t) {
		for i := range all {
			r := &all[i]
			t.Run(file+"/"+r.Name, func(t *testing.T) {
				for _, more := range []string{"", noise} {
					found := r.explain(t, more)
					if r.Code == "" {
						for _, f := range found {
							assert.True(t, f.Unknown, "a false explanation: %s: %s", f.Code, f.Cause)
						}
						continue
					}
					require.Len(t, found, 1, "%+v", found)
					f := found[0]
					assert.Equal(t, r.Code, f.Code, f.Cause)
					for _, says := range r.Says {
						assert.Contains(t, f.Cause, says)
					}
					assert.LessOrEqual(t, len(f.Cause), 2*120+80, f.Cause)
					assert.NotContains(t, f.Cause, "noise")
				}
			})
		}
	}
}

// withoutNeighbour has the causes whose symptom leaves no doubt, and why.
var withoutNeighbour = map[string]string{}

// Each cause has a case, and a neighbour: a case with the same symptom that it does not
// explain.
func TestEachCauseHasANeighbour(t *testing.T) {
	shows := map[string][]symptom{}
	spared := map[string]bool{}
	for _, all := range recordedCases(t) {
		for i := range all {
			shows[all[i].Code] = append(shows[all[i].Code], all[i].symptom())
		}
	}
	for file, all := range recordedCases(t) {
		for i := range all {
			r := &all[i]
			for _, not := range r.Not {
				assert.NotEqual(t, r.Code, not, "%s: %s", file, r.Name)
				assert.Contains(t, shows[not], r.symptom(), "%s: %s: no case of %s has its symptom", file, r.Name, not)
				spared[not] = true
			}
		}
	}
	for _, f := range explain.Families() {
		for _, c := range f.Causes {
			assert.NotEmpty(t, shows[c.Code], "no case has the cause %s", c.Code)
			assert.NotEqual(t, spared[c.Code], withoutNeighbour[c.Code] != "", "cause %s: either it has a neighbour or withoutNeighbour says why not", c.Code)
		}
	}
}
