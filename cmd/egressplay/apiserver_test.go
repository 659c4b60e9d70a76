package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// apiserver starts a little of a Kubernetes API server for a script: it has
// namespaces and pods, of which there is the namespace "default", and keeps what
// is patched, Secrets and Leases. It writes a kubeconfig with the context "real" to the file
// config, and what it is asked to the file requests. With "lab" it says that a
// lab serves it, with "old" one of another version; with "hang" it answers only
// the first change, so that a clean-up does not end. With "two" there is another one, with
// the context "other" and the file requests-other, which with "denies" permits nothing.
// With "steals" somebody else takes each Lease of the first one, and the other has a pod a.
func apiserver(ts *testscript.TestScript, neg bool, args []string) {
	names := []string{"real"}
	if slices.Contains(args, "two") {
		names = append(names, "other")
	}
	var clusters, contexts strings.Builder
	for _, name := range names {
		file := "requests"
		if name == "other" {
			file += "-other"
		}
		requests, err := os.Create(ts.MkAbs(file))
		ts.Check(err)
		s := &api{
			hang: slices.Contains(args, "hang"), denies: name == "other" && slices.Contains(args, "denies"),
			steals: name == "real" && slices.Contains(args, "steals"), pod: name == "other" && slices.Contains(args, "steals"),
			requests: requests, gone: make(chan struct{}),
		}
		if slices.Contains(args, "lab") {
			s.labVersion = version
		}
		if slices.Contains(args, "old") {
			s.labVersion = "0.0.1"
		}
		s.labels = map[string]any{"kubernetes.io/metadata.name": "default"}
		server := httptest.NewServer(s)
		ts.Defer(server.Close)
		ts.Defer(func() { close(s.gone) }) // first: Close waits for the answers
		fmt.Fprintf(&clusters, "- name: %s\n  cluster: {server: %q}\n", name, server.URL)
		fmt.Fprintf(&contexts, "- name: %s\n  context: {cluster: %[1]s, user: me}\n", name)
	}
	config := "apiVersion: v1\nkind: Config\nclusters:\n" + clusters.String() +
		"users:\n- name: me\n  user: {}\ncontexts:\n" + contexts.String() + "current-context: real\n"
	ts.Check(os.WriteFile(ts.MkAbs("config"), []byte(config), 0o600))
}

type api struct {
	labVersion string
	hang       bool
	denies     bool
	steals     bool
	pod        bool
	requests   io.Writer
	gone       chan struct{}

	mu      sync.Mutex
	labels  map[string]any
	changes int
	objects map[string]map[string]any // Secrets and Leases, by path
}

// keep serves Secrets and Leases, as far as they are used.
func (s *api) keep(r *http.Request) (code int, answer map[string]any) {
	given := map[string]any{}
	_ = json.NewDecoder(r.Body).Decode(&given) // a request may have no body
	path := r.URL.Path
	if r.Method == http.MethodPost {
		metadata := given["metadata"].(map[string]any)
		metadata["uid"] = path + "/" + fmt.Sprint(metadata["name"])
		path = metadata["uid"].(string)
	}
	if strings.HasSuffix(path, "/secrets") {
		list := []any{}
		for of, obj := range s.objects {
			if strings.Contains(of, "/secrets/") {
				list = append(list, obj)
			}
		}
		return 200, map[string]any{"kind": "SecretList", "apiVersion": "v1", "metadata": map[string]any{}, "items": list}
	}
	if s.objects == nil {
		s.objects = map[string]map[string]any{}
	}
	now := s.objects[path]
	switch {
	case r.Method == http.MethodPost || r.Method == http.MethodPut:
		s.objects[path] = given
		return 200, given
	case now == nil:
		return 404, map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": path + " not found"}
	case r.Method == http.MethodGet && s.steals && strings.Contains(path, "/leases/"):
		now["spec"].(map[string]any)["holderIdentity"] = "another"
		delete(now["metadata"].(map[string]any), "annotations") // they are about the process
	case r.Method == http.MethodPatch:
		data := now["data"].(map[string]any)
		for key, value := range given["data"].(map[string]any) {
			if data[key] = value; value == nil {
				delete(data, key)
			}
		}
	case r.Method == http.MethodDelete:
		delete(s.objects, path)
		return 200, map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Success"}
	}
	return 200, now
}

func (s *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.requests, r.Method, r.URL.Path)
	type object = map[string]any
	answer := func(code int, v object) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v) // a client may go
	}
	namespace := func() object {
		return object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": "default", "uid": "1", "resourceVersion": fmt.Sprint(s.changes), "labels": s.labels}}
	}
	resource := func(kind, plural string, namespaced bool) object {
		return object{"name": plural, "singularName": strings.ToLower(kind), "kind": kind, "namespaced": namespaced, "verbs": []string{"get", "list", "patch", "delete"}}
	}
	switch path := r.URL.Path; {
	case path == "/version":
		answer(200, object{"gitVersion": "v1.36.3"})
	case path == "/api":
		answer(200, object{"kind": "APIVersions", "versions": []string{"v1"}})
	case path == "/apis":
		version := object{"groupVersion": "coordination.k8s.io/v1", "version": "v1"}
		answer(200, object{"kind": "APIGroupList", "apiVersion": "v1", "groups": []object{
			{"name": "coordination.k8s.io", "versions": []object{version}, "preferredVersion": version},
		}})
	case path == "/apis/coordination.k8s.io/v1":
		answer(200, object{"kind": "APIResourceList", "groupVersion": "coordination.k8s.io/v1", "resources": []object{resource("Lease", "leases", true)}})
	case path == "/api/v1":
		answer(200, object{"kind": "APIResourceList", "groupVersion": "v1", "resources": []object{
			resource("Namespace", "namespaces", false), resource("Pod", "pods", true), resource("Secret", "secrets", true),
		}})
	case s.labVersion != "" && path == "/api/v1/namespaces/kube-public/configmaps/egressplay-lab":
		answer(200, object{"apiVersion": "v1", "kind": "ConfigMap", "data": object{"name": "default", "version": s.labVersion}})
	case path == "/api/v1/namespaces/default" && r.Method == http.MethodGet:
		answer(200, namespace())
	case path == "/api/v1/namespaces/default" && (r.Method == http.MethodPatch || r.Method == http.MethodPut):
		var change struct {
			Metadata struct {
				Labels map[string]any `json:"labels"`
			} `json:"metadata"`
		}
		if err := json.NewDecoder(r.Body).Decode(&change); err != nil {
			answer(400, object{"kind": "Status", "reason": "BadRequest", "message": err.Error()})
			return
		}
		before := maps.Clone(s.labels)
		if r.Method == http.MethodPut {
			clear(s.labels)
		}
		for name, value := range change.Metadata.Labels {
			if s.labels[name] = value; value == nil {
				delete(s.labels, name)
			}
		}
		if r.URL.Query().Has("dryRun") {
			answer(200, namespace())
			s.labels = before
			return
		}
		if s.changes++; s.hang && s.changes > 1 {
			<-s.gone
			return
		}
		answer(200, namespace())
	case s.pod && path == "/api/v1/namespaces/default/pods/a":
		answer(200, object{"apiVersion": "v1", "kind": "Pod", "metadata": object{"name": "a", "namespace": "default", "uid": "2"}})
	case path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
		answer(201, object{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "status": object{"allowed": !s.denies}})
	case strings.Contains(path, "/secrets") || strings.Contains(path, "/leases"):
		code, obj := s.keep(r)
		answer(code, obj)
	default:
		answer(404, object{"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": path + " not found"})
	}
}
