package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/runner"
)

// Apply applies a manifest, as kubectl apply does. An object that was not
// there is deleted at the end; one that was there becomes again as it was.
type Apply struct {
	Manifest Manifest `yaml:"manifest,scalar"`
	// Files are paths of manifests, relative to the playbook's folder. They
	// stay as they are, but for the variables in Vars.
	Files     []string `yaml:"files"`
	Vars      []string `yaml:"vars"`
	Namespace string   `yaml:"namespace"`

	texts []string // of Files
	at    []string // where a command finds Files, "" for one that is built in
}

var (
	_ runner.Action = (*Apply)(nil)
	_ Defaulter     = (*Apply)(nil)
	_ FileReader    = (*Apply)(nil)
	_ Validator     = (*Apply)(nil)
)

// SetDefaults implements [Defaulter].
func (a *Apply) SetDefaults(d Defaults) { a.Namespace = cmp.Or(a.Namespace, d.Namespace) }

// ReadFiles implements [FileReader].
func (a *Apply) ReadFiles(read func(path string) (text []byte, at string, err error)) error {
	var errs []error
	for i, path := range a.Files {
		text, at, err := read(path)
		if err == nil {
			m := Manifest{Text: string(text)}
			_, err = m.Objects()
		}
		if err != nil {
			wrong := &runner.FieldError{Field: []string{"files", fmt.Sprint(i)}, Err: fmt.Errorf("%s: %w", path, err)}
			if inner, ok := errors.AsType[*runner.FieldError](err); ok {
				wrong.Hint = inner.Hint
			}
			errs = append(errs, wrong)
		}
		a.texts, a.at = append(a.texts, string(text)), append(a.at, at)
	}
	return errors.Join(errs...)
}

// Validate implements [Validator].
func (a *Apply) Validate() error {
	switch {
	case a.Manifest.Text == "" && len(a.Files) == 0:
		return &runner.FieldError{Err: errors.New("nothing to apply"), Hint: "write the manifest behind `apply: |`, or files: [PATH]"}
	case a.Manifest.Text != "" && len(a.Files) > 0:
		return &runner.FieldError{Field: []string{"files"}, Err: errors.New("a manifest is written here or read from files, not both")}
	case len(a.Vars) > 0 && len(a.Files) == 0:
		return &runner.FieldError{Field: []string{"vars"}, Err: errors.New("vars goes with files")}
	}
	return nil
}

// Manifests implements [Manifester].
func (a *Apply) Manifests() []ManifestText {
	if a.Manifest.Text != "" {
		return []ManifestText{{[]string{"manifest"}, a.Manifest.Text, a.Namespace}}
	}
	var all []ManifestText
	for i, text := range a.texts {
		all = append(all, ManifestText{[]string{"files", fmt.Sprint(i)}, text, a.Namespace})
	}
	return all
}

// Targets implements [Changer].
func (a *Apply) Targets() (all []changes.Target) {
	add := func(m Manifest, field ...string) {
		objects, _ := m.Objects() // what is wrong with it is reported when it is read
		for _, obj := range objects {
			ref := cluster.RefOf(obj)
			ref.Namespace = cmp.Or(ref.Namespace, a.Namespace)
			all = append(all, changes.Target{Ref: ref, Field: field, Makes: true, Object: obj})
		}
	}
	if a.Manifest.Text != "" {
		add(a.Manifest, "manifest")
	}
	for i, text := range a.texts {
		add(Manifest{Text: text}, "files", fmt.Sprint(i))
	}
	return all
}

// Command implements [runner.Action].
func (a *Apply) Command(s *runner.Scope) string {
	namespace := cmp.Or(a.Namespace, s.Namespace)
	if len(a.Files) > 0 && len(a.Vars) == 0 && !slices.Contains(a.at, "") {
		args := []string{"apply"}
		for _, file := range a.at {
			args = append(args, "-f", file)
		}
		return kubectl(namespace, args...)
	}
	text := a.Manifest.masked(s)
	for i := range a.texts {
		if m, err := a.manifest(s.Shown, i); err == nil { // else it is reported when it is applied
			if text != "" {
				text += "---\n"
			}
			text += strings.TrimRight(m.masked(s), "\n") + "\n"
		}
	}
	return withInput(kubectl(namespace, "apply", "-f", "-"), strings.TrimRight(text, "\n")+"\n")
}

// Repeats implements [runner.Action].
func (a *Apply) Repeats() bool { return false }

// Try implements [runner.Action].
func (a *Apply) Try(ctx context.Context, s *runner.Scope) (*evidence.Attempt, error) {
	objects, err := a.objects(s)
	if err != nil {
		return nil, err
	}
	attempt := new(evidence.Attempt)
	ctx = showWarnings(ctx, attempt)
	for _, obj := range objects {
		if err := apply(ctx, s, obj, a.Namespace, attempt); err != nil {
			return attempt, err
		}
	}
	return attempt, nil
}

func (a *Apply) objects(s *runner.Scope) ([]*unstructured.Unstructured, error) {
	if len(a.Files) == 0 {
		return a.Manifest.Objects()
	}
	var all []*unstructured.Unstructured
	for i := range a.texts {
		m, err := a.manifest(s.Lookup, i)
		if err != nil {
			return nil, err
		}
		objects, err := m.Objects()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.Files[i], err)
		}
		all = append(all, objects...)
	}
	return all, nil
}

// Refs implements [Referrer].
func (a *Apply) Refs() []Ref {
	refs := make([]Ref, len(a.Vars))
	for i, name := range a.Vars {
		refs[i] = Ref{Name: name, Field: []string{"vars", strconv.Itoa(i)}}
	}
	return refs
}

// manifest returns what one of the files says, with the variables in Vars
// replaced.
func (a *Apply) manifest(lookup runner.Lookup, i int) (*Manifest, error) {
	m := &Manifest{Text: a.texts[i]}
	if len(a.Vars) == 0 {
		return m, nil
	}
	err := m.ExpandVars(func(name string) (string, bool) {
		if slices.Contains(a.Vars, name) {
			return lookup(name)
		}
		return "${" + name + "}", true
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Files[i], err)
	}
	return m, nil
}

// showWarnings has the API server's warnings shown, each once, as kubectl shows
// them.
func showWarnings(ctx context.Context, attempt *evidence.Attempt) context.Context {
	shown := map[string]bool{}
	return cluster.WithWarnings(ctx, func(warning string) {
		if !shown[warning] {
			shown[warning] = true
			attempt.Text += "Warning: " + warning + "\n"
		}
	})
}

// apply applies one object, and adds to the attempt what it changed and the line
// that kubectl prints for it.
func apply(ctx context.Context, s *runner.Scope, obj *unstructured.Unstructured, namespace string, attempt *evidence.Attempt) error {
	ref, err := s.Cluster.Resolve(ctx, cluster.RefOf(obj), cmp.Or(namespace, s.Namespace))
	if err != nil {
		return err
	}
	obj = obj.DeepCopy()
	obj.SetNamespace(ref.Namespace)
	before, after, err := s.Changes.Apply(ctx, obj)
	if err != nil {
		if !changes.IsRefused(err) { // it may have been done all the same
			attempt.Changes = append(attempt.Changes, changeOf(ref))
		}
		return accepted(ref, err)
	}
	verb := "configured"
	switch {
	case before == nil:
		verb = "created"
	case before.GetResourceVersion() == after.GetResourceVersion():
		verb = "unchanged"
	}
	if verb != "unchanged" {
		attempt.Changes = append(attempt.Changes, changeOf(ref))
	}
	attempt.Text += fmt.Sprintf("%s %s\n", ref.Long(), verb)
	return nil
}

// changeOf returns an object as evidence has it.
func changeOf(ref cluster.Ref) evidence.Change {
	return evidence.Change{APIVersion: ref.APIVersion, Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name}
}

// accepted turns the refusal of an object by the API server into a mismatch:
// a step that changes an object promises by itself that it is accepted. An
// object whose namespace is not there is "not found" to it.
func accepted(ref cluster.Ref, err error) error {
	switch {
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsNotFound(err), strings.Contains(err.Error(), "denied the request"):
		return &runner.Mismatch{What: ref.String(), Want: "accepted by the API server", Got: err.Error()}
	case apierrors.IsServerTimeout(err), apierrors.IsTooManyRequests(err), strings.Contains(err.Error(), "failed calling webhook"):
		return runner.Retryable(err)
	}
	return err
}
