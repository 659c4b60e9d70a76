package runner

import (
	"context"
	"encoding/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/redact"
)

// SetSecret gives a variable a value that no reader is to see.
func (s *Scope) SetSecret(name, value string) {
	s.Secrets.AddWord(value)
	s.Set(name, value)
}

// watchSecrets has the run know the secrets that go through a journal.
func (r *Runner) watchSecrets(j *changes.Journal) {
	if r.Secrets == nil {
		r.Secrets = redact.New()
	}
	if j == nil {
		return
	}
	if _, watched := j.Cluster.(*watchedCluster); !watched {
		j.Cluster = &watchedCluster{j.Cluster, r.Secrets}
	}
}

// A watchedCluster keeps the values of each Kubernetes Secret secret that goes to
// the cluster or comes from it.
type watchedCluster struct {
	cluster.Interface
	secrets *redact.Redactor
}

// Get implements [cluster.Interface].
func (c *watchedCluster) Get(ctx context.Context, ref cluster.Ref) (*unstructured.Unstructured, error) {
	return c.seen(c.Interface.Get(ctx, ref))
}

// List implements [cluster.Interface].
func (c *watchedCluster) List(ctx context.Context, kind, namespace, selector string) ([]unstructured.Unstructured, error) {
	all, err := c.Interface.List(ctx, kind, namespace, selector)
	for i := range all {
		c.secrets.AddObject(all[i].Object)
	}
	return all, err
}

// Apply implements [cluster.Interface].
func (c *watchedCluster) Apply(ctx context.Context, obj *unstructured.Unstructured, o cluster.WriteOptions) (*unstructured.Unstructured, error) {
	c.secrets.AddObject(obj.Object)
	after, err := c.seen(c.Interface.Apply(ctx, obj, o))
	return after, c.secrets.Error(err, obj.Object)
}

// Create implements [cluster.Interface].
func (c *watchedCluster) Create(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	c.secrets.AddObject(obj.Object)
	after, err := c.seen(c.Interface.Create(ctx, obj))
	return after, c.secrets.Error(err, obj.Object)
}

// Update implements [cluster.Interface].
func (c *watchedCluster) Update(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	c.secrets.AddObject(obj.Object)
	after, err := c.seen(c.Interface.Update(ctx, obj))
	return after, c.secrets.Error(err, obj.Object)
}

// MergePatch implements [cluster.Interface].
func (c *watchedCluster) MergePatch(ctx context.Context, ref cluster.Ref, patch []byte, o cluster.WriteOptions) (*unstructured.Unstructured, error) {
	object := map[string]any{}
	if json.Unmarshal(patch, &object) == nil { // else the server will say what is wrong
		object["apiVersion"], object["kind"] = ref.APIVersion, ref.Kind
	}
	c.secrets.AddObject(object)
	after, err := c.seen(c.Interface.MergePatch(ctx, ref, patch, o))
	return after, c.secrets.Error(err, object)
}

func (c *watchedCluster) seen(obj *unstructured.Unstructured, err error) (*unstructured.Unstructured, error) {
	if obj != nil {
		c.secrets.AddObject(obj.Object)
	}
	return obj, err
}
