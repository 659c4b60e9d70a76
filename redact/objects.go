package redact

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
)

// Applied is the annotation in which kubectl apply keeps what it applied.
const Applied = "kubectl.kubernetes.io/last-applied-configuration"

// IsSecret reports whether an object is a Kubernetes Secret.
func IsSecret(object map[string]any) bool {
	return object["kind"] == "Secret" && object["apiVersion"] == "v1"
}

// AddObject keeps the values of a Kubernetes Secret secret from now on, plain and
// encoded. It ignores any other object.
func (r *Redactor) AddObject(object map[string]any) {
	if IsSecret(object) {
		r.Add(valuesOf(object)...)
	}
}

// valuesOf returns the values of a Secret, which need not be a valid one.
func valuesOf(secret map[string]any) []string {
	var values []string
	for _, field := range []string{"data", "stringData"} {
		leaves(secret[field], func(value any) any {
			text := fmt.Sprint(value)
			values = append(values, text)
			if field == "data" {
				if plain, err := base64.StdEncoding.DecodeString(text); err == nil {
					values = append(values, string(plain))
				}
			}
			return value
		})
	}
	if text, ok := annotations(secret)[Applied].(string); ok {
		var object map[string]any
		if json.Unmarshal([]byte(text), &object) == nil {
			values = append(values, valuesOf(object)...)
		}
	}
	return values
}

// Bare returns a copy of a Kubernetes Secret without values, and any other object as it
// is.
func Bare(object map[string]any) map[string]any {
	if !IsSecret(object) {
		return object
	}
	bare := maps.Clone(object)
	delete(bare, "data")
	delete(bare, "stringData")
	if _, ok := annotations(object)[Applied]; ok {
		metadata := maps.Clone(bare["metadata"].(map[string]any))
		rest := maps.Clone(annotations(object))
		delete(rest, Applied)
		metadata["annotations"] = rest
		bare["metadata"] = metadata
	}
	return bare
}

func annotations(object map[string]any) map[string]any {
	metadata, _ := object["metadata"].(map[string]any)
	all, _ := metadata["annotations"].(map[string]any)
	return all
}

// Masked returns a copy of a Kubernetes Secret, or of a patch of one, with [Mark]
// for each of its values.
func Masked(secret map[string]any) map[string]any {
	masked := maps.Clone(secret)
	for _, field := range []string{"data", "stringData"} {
		if value, ok := masked[field]; ok && value != nil {
			masked[field] = leaves(value, func(value any) any { return Mark })
		}
	}
	if _, ok := annotations(secret)[Applied]; ok {
		metadata := maps.Clone(masked["metadata"].(map[string]any))
		all := maps.Clone(annotations(secret))
		all[Applied] = Mark
		metadata["annotations"] = all
		masked["metadata"] = metadata
	}
	return masked
}

// leaves returns a copy of a JSON value in which each scalar that is not null is
// replaced by change.
func leaves(value any, change func(any) any) any {
	switch value := value.(type) {
	case nil:
		return nil
	case map[string]any:
		changed := map[string]any{}
		for key, v := range value {
			changed[key] = leaves(v, change)
		}
		return changed
	case []any:
		changed := make([]any, len(value))
		for i, v := range value {
			changed[i] = leaves(v, change)
		}
		return changed
	}
	return change(value)
}

// Error returns the error of a request about a Kubernetes Secret without the Secret's
// values, however short they are: the API server may quote them. For any other object
// it returns err as it is.
func (r *Redactor) Error(err error, object map[string]any) error {
	if err == nil || !IsSecret(object) {
		return err
	}
	text := r.Text(err.Error())
	for _, value := range valuesOf(object) {
		for _, form := range []string{value, strings.TrimSpace(value)} {
			text = Word(text, form)
		}
	}
	if text == err.Error() {
		return err
	}
	return &maskedError{text, err}
}

// A maskedError has another text than the error that it stands for.
type maskedError struct {
	text string
	err  error
}

func (e *maskedError) Error() string { return e.text }
func (e *maskedError) Unwrap() error { return e.err }

// Hint returns the hint of the original error, "" if it has none.
func (e *maskedError) Hint() string {
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](e.err); ok {
		return h.Hint()
	}
	return ""
}
