package schemas

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Every type that the data names is in it.
func TestData(t *testing.T) {
	d := known()
	plain := []string{"any", "string", "integer", "number", "boolean", "scalar"}
	see := func(from, of string) {
		for {
			inner, ok := strings.CutPrefix(of, "[]")
			if !ok {
				inner, ok = strings.CutPrefix(of, "map:")
			}
			if !ok {
				break
			}
			of = inner
		}
		if !strings.HasPrefix(of, "enum:") && !slices.Contains(plain, of) {
			assert.Contains(t, d.Types, of, "%s", from)
		}
	}
	for name, versions := range d.Kinds {
		for _, of := range versions {
			see(name, of)
		}
	}
	for name, fields := range d.Types {
		for _, of := range fields {
			see(name, of)
		}
	}
	for _, kind := range []string{"networking.istio.io/ServiceEntry", "apps/Deployment", "gateway.networking.k8s.io/HTTPRoute", "/Pod"} {
		assert.Contains(t, d.Kinds, kind)
	}
}
