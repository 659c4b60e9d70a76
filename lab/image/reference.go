package image

import (
	"fmt"

	"github.com/distribution/reference"
)

// Reference returns the complete reference to an image, as container engines complete
// it: "nginx" is docker.io/library/nginx:latest.
func Reference(name string) (string, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", fmt.Errorf("%q is not a name of an image: %w", name, err)
	}
	if _, ok := named.(reference.Digested); ok {
		return "", fmt.Errorf("%q is not a valid name for an image: leave the digest out", name)
	}
	return reference.TagNameOnly(named).String(), nil
}

// Familiar returns a complete reference in its usual short form.
func Familiar(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.FamiliarString(named)
}

// Means reports whether a reference in a pod means the image: by one of its names with
// the same tag, by one of its names with one of its digests, or by its ID.
func (d *Description) Means(ref string) bool {
	if ref == d.ID {
		return true
	}
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return false
	}
	digested, byDigest := named.(reference.Digested)
	full := reference.TagNameOnly(named).String()
	for _, name := range d.Names {
		own, err := reference.ParseNormalizedNamed(name)
		if err != nil || own.Name() != named.Name() {
			continue
		}
		if byDigest {
			digest := digested.Digest().String()
			if digest == d.ID || digest == d.Digest {
				return true
			}
		} else if name == full {
			return true
		}
	}
	return false
}
