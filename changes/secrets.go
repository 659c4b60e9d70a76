package changes

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/cluster"
)

// A Run describes the run whose changes a journal has.
type Run struct {
	ID      string    `json:"id"`
	Holder  string    `json:"holder"` // who runs it, such as "ann@laptop"
	Process string    `json:"process,omitempty"`
	Started time.Time `json:"started"`
}

// Secrets keeps the changes of a run in Secrets of one namespace, as many as
// their size needs. A Secret that somebody deletes is made again.
type Secrets struct {
	Cluster   cluster.Interface
	Namespace string
	Run       Run

	mu    sync.Mutex
	parts []*part
}

var _ Store = (*Secrets)(nil)

// A part is one of the Secrets.
type part struct {
	data  map[string]string // by key, in base64 as in the API
	size  int
	there bool // the Secret exists
}

const (
	// maxPart bounds what one Secret has. Kubernetes takes 1 MiB.
	maxPart = 700 << 10
	// maxParts bounds how many Secrets a run has.
	maxParts = 1000
	// maxChange bounds a change that is read, unpacked.
	maxChange = 16 << 20

	secretPrefix      = "egressplay-run-"
	holderAnnotation  = "egressplay.io/holder"
	processAnnotation = "egressplay.io/process"
	startedAnnotation = "egressplay.io/started"
)

func keyOf(c *Change) string { return fmt.Sprintf("change-%04d", c.Number) }

// Save implements [Store].
func (s *Secrets) Save(ctx context.Context, all []*Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := map[int]map[string]any{}
	for _, c := range all {
		text, err := pack(c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Ref, err)
		}
		if len(text) > maxPart {
			return fmt.Errorf("%s is too large to be kept in a Secret", c.Ref)
		}
		i := s.place(keyOf(c), len(text))
		p := s.parts[i]
		p.size += len(text) - len(p.data[keyOf(c)])
		p.data[keyOf(c)] = text
		if changed[i] == nil {
			changed[i] = map[string]any{}
		}
		changed[i][keyOf(c)] = text
	}
	for _, i := range slices.Sorted(maps.Keys(changed)) {
		if err := s.write(ctx, i, changed[i]); err != nil {
			return err
		}
	}
	return nil
}

// place returns the part that has a change, or has room for it.
func (s *Secrets) place(key string, size int) int {
	for i, p := range s.parts {
		if _, has := p.data[key]; has {
			return i
		}
	}
	if last := len(s.parts) - 1; last >= 0 && s.parts[last].size+size <= maxPart {
		return last
	}
	s.parts = append(s.parts, &part{data: map[string]string{}})
	return len(s.parts) - 1
}

func (s *Secrets) ref(i int) cluster.Ref {
	name := secretPrefix + s.Run.ID
	if i > 0 {
		name += fmt.Sprintf("-%d", i+1)
	}
	return cluster.Ref{APIVersion: "v1", Kind: "Secret", Namespace: s.Namespace, Name: name}
}

// write writes what has changed in a part, or the whole part if its Secret does not
// exist yet, or any more.
func (s *Secrets) write(ctx context.Context, i int, changed map[string]any) error {
	if s.parts[i].there {
		patch, err := json.Marshal(map[string]any{"data": changed})
		if err != nil {
			return err
		}
		if _, err = s.Cluster.MergePatch(ctx, s.ref(i), patch, cluster.WriteOptions{}); !apierrors.IsNotFound(err) {
			return err
		}
	}
	data := map[string]any{}
	for key, text := range s.parts[i].data {
		data[key] = text
	}
	ref := s.ref(i)
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": ref.APIVersion, "kind": ref.Kind, "type": "Opaque", "data": data}}
	obj.SetNamespace(ref.Namespace)
	obj.SetName(ref.Name)
	obj.SetAnnotations(map[string]string{
		holderAnnotation: s.Run.Holder, processAnnotation: s.Run.Process, startedAnnotation: s.Run.Started.UTC().Format(time.RFC3339Nano),
	})
	_, err := s.Cluster.Create(ctx, label(obj, s.Run.ID))
	if apierrors.IsAlreadyExists(err) {
		patch, jsonErr := json.Marshal(map[string]any{"data": data})
		if jsonErr != nil {
			return jsonErr
		}
		_, err = s.Cluster.MergePatch(ctx, ref, patch, cluster.WriteOptions{})
	}
	s.parts[i].there = err == nil
	return err
}

// Drop implements [Store].
func (s *Secrets) Drop(ctx context.Context, all []*Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for i, p := range s.parts {
		gone := map[string]any{}
		for _, c := range all {
			if _, has := p.data[keyOf(c)]; has {
				gone[keyOf(c)] = nil
			}
		}
		if len(gone) == 0 {
			continue
		}
		var err error
		if len(p.data) == len(gone) {
			err = s.Cluster.Delete(ctx, s.ref(i), cluster.WriteOptions{})
		} else {
			patch, jsonErr := json.Marshal(map[string]any{"data": gone})
			if jsonErr != nil {
				return jsonErr
			}
			_, err = s.Cluster.MergePatch(ctx, s.ref(i), patch, cluster.WriteOptions{})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, err)
			continue
		}
		for key := range gone {
			p.size -= len(p.data[key])
			delete(p.data, key)
		}
		p.there = err == nil && len(p.data) > 0
	}
	return errors.Join(errs...)
}

// packers are reused: making one takes longer than packing a change.
var packers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// pack returns a change as the text that is kept in a Secret.
func pack(c *Change) (string, error) {
	var packed bytes.Buffer
	z := packers.Get().(*gzip.Writer)
	defer packers.Put(z)
	z.Reset(&packed)
	if err := errors.Join(json.NewEncoder(z).Encode(c), z.Close()); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(packed.Bytes()), nil
}

func unpack(text string) (*Change, error) {
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(z, maxChange+1))
	if err == nil && len(body) > maxChange {
		err = errors.New("it is too large")
	}
	if err != nil {
		return nil, err
	}
	var c *Change
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, err
	}
	return c, c.check()
}

// check returns what is wrong with a change that was read.
func (c *Change) check() error {
	if c == nil || c.Ref.Kind == "" || c.Ref.Name == "" {
		return errors.New("it names no object")
	}
	return nil
}

// Kept is what a run has left in the cluster.
type Kept struct {
	Run     Run
	Changes []*Change // oldest first
	Store   Store     // where they are
	// Namespace is the namespace of the Secrets, "" if the changes are in a file.
	Namespace string
	// Unread has the parts that cannot be read, with the reasons.
	Unread []string
}

// Find returns what runs have left in the Secrets of a namespace, "" for all
// namespaces, the newest run first.
func Find(ctx context.Context, c cluster.Interface, namespace string) ([]*Kept, error) {
	secrets, err := c.List(ctx, "secrets", namespace, RunLabel+","+ManagedBy+"="+cluster.Manager)
	if err != nil {
		return nil, err
	}
	found := map[string]*Kept{}
	for i := range secrets {
		secret := &secrets[i]
		id := secret.GetLabels()[RunLabel]
		number := 1
		suffix, ok := strings.CutPrefix(secret.GetName(), secretPrefix+id)
		if !ok {
			continue // a Secret that a playbook made
		}
		if suffix != "" {
			if _, err := fmt.Sscanf(suffix, "-%d", &number); err != nil || number < 2 || number > maxParts {
				continue
			}
		}
		key := secret.GetNamespace() + "/" + id
		kept := found[key]
		if kept == nil {
			annotations := secret.GetAnnotations()
			started, _ := time.Parse(time.RFC3339Nano, annotations[startedAnnotation])
			kept = &Kept{
				Run:       Run{ID: id, Holder: annotations[holderAnnotation], Process: annotations[processAnnotation], Started: started},
				Namespace: secret.GetNamespace(),
			}
			kept.Store = &Secrets{Cluster: c, Namespace: kept.Namespace, Run: kept.Run}
			found[key] = kept
		}
		store := kept.Store.(*Secrets)
		for len(store.parts) < number {
			store.parts = append(store.parts, &part{data: map[string]string{}})
		}
		store.parts[number-1].there = true
		data, _, err := unstructured.NestedStringMap(secret.Object, "data")
		if err != nil {
			kept.Unread = append(kept.Unread, fmt.Sprintf("secret/%s in namespace %s: %v", secret.GetName(), kept.Namespace, err))
		}
		for key, text := range data {
			change, err := unpack(text)
			if err != nil {
				kept.Unread = append(kept.Unread, fmt.Sprintf("secret/%s in namespace %s: %s cannot be read: %v", secret.GetName(), kept.Namespace, key, err))
				continue
			}
			store.parts[number-1].data[key] = text
			store.parts[number-1].size += len(text)
			kept.Changes = append(kept.Changes, change)
		}
	}
	all := slices.Collect(maps.Values(found))
	for _, k := range all {
		slices.SortFunc(k.Changes, func(a, b *Change) int { return a.Number - b.Number })
	}
	slices.SortFunc(all, func(a, b *Kept) int {
		return cmp.Or(b.Run.Started.Compare(a.Run.Started), cmp.Compare(a.Run.ID, b.Run.ID))
	})
	return all, nil
}

// Journal returns a journal with the changes that a run has left, to put them back.
func (k *Kept) Journal(c cluster.Interface) *Journal {
	j := &Journal{Run: k.Run.ID, Cluster: c, Store: k.Store}
	j.resume(k.Changes)
	return j
}
