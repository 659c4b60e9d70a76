package cluster

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWarningsOfTheServer(t *testing.T) {
	c := newTestClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api":
			io.WriteString(w, `{"kind":"APIVersions","versions":["v1"]}`)
		case "/apis":
			io.WriteString(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`)
		case "/api/v1":
			io.WriteString(w, `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"configmaps","singularName":"configmap","kind":"ConfigMap","namespaced":true}]}`)
		default:
			w.Header().Add("Warning", `299 - "v1 ConfigMap is old"`)
			w.Header().Add("Warning", `299 - "and slow"`)
			io.WriteString(w, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b","namespace":"a"}}`)
		}
	}))
	var got []string
	ref := Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "a", Name: "b"}
	_, err := c.Get(WithWarnings(t.Context(), func(text string) { got = append(got, text) }), ref)
	require.NoError(t, err)
	assert.Equal(t, []string{"v1 ConfigMap is old", "and slow"}, got)
	_, err = c.Get(t.Context(), ref)
	assert.NoError(t, err, "nobody asked for them")
}
