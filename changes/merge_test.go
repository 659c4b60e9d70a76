package changes

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	obj := new(unstructured.Unstructured)
	require.NoError(t, yaml.Unmarshal([]byte(text), &obj.Object))
	return obj
}

func TestTakeBack(t *testing.T) {
	for name, c := range map[string]struct {
		before, after, now string
		want               string
		kept               []string
	}{
		"nobody else changed anything":   {"a: 1\nb: 2", "a: 3\nc: 4", "a: 3\nc: 4", "a: 1\nb: 2", nil},
		"somebody added a key":           {"data: {a: x}", "data: {a: y}", "data: {a: y, theirs: z}", "data: {a: x, theirs: z}", nil},
		"somebody removed another":       {"data: {a: x, b: x}", "data: {a: y, b: x}", "data: {a: y}", "data: {a: x}", nil},
		"somebody changed what we did":   {"data: {a: x, b: x}", "data: {a: y, b: y}", "data: {a: z, b: y}", "data: {a: z, b: x}", []string{"data.a"}},
		"somebody put it back already":   {"data: {a: x}", "data: {a: y}", "data: {a: x}", "data: {a: x}", nil},
		"somebody removed what we did":   {"data: {a: x}", "data: {a: y}", "data: {}", "data: {}", []string{"data.a"}},
		"somebody added to what we made": {"a: 1", "a: 1\nlabels: {ours: x}", "a: 1\nlabels: {ours: x, theirs: y}", "a: 1\nlabels: {theirs: y}", nil},
		"nobody added to what we made":   {"a: 1", "a: 1\nlabels: {ours: x}", "a: 1\nlabels: {ours: x}", "a: 1", nil},
		"we removed, somebody added":     {"l: {a: 1, b: 2}", "{}", "l: {c: 3}", "l: {a: 1, b: 2, c: 3}", nil},
		"a list":                         {"l: [1]", "l: [1, 2]", "l: [1, 2, 3]", "l: [1, 2, 3]", []string{"l"}},
		"one of a list by names": {
			"c: [{name: a, image: x}, {name: b, image: x}]", "c: [{name: a, image: y}, {name: b, image: x}]", "c: [{name: a, image: y}, {name: b, image: z}]",
			"c: [{name: a, image: x}, {name: b, image: z}]", nil,
		},
		"a list by other names": {"c: [{name: a, v: 1}]", "c: [{name: a, v: 2}]", "c: [{name: b, v: 2}]", "c: [{name: b, v: 2}]", []string{"c"}},
		"another type":          {"a: 1", "a: {b: 2}", "a: [3]", "a: [3]", []string{"a"}},
		"what the server sets":  {"metadata: {resourceVersion: '1', uid: u}\nstatus: {a: 1}", "metadata: {resourceVersion: '2', uid: u}\nstatus: {a: 2}", "metadata: {resourceVersion: '3', uid: u}\nstatus: {a: 3}", "metadata: {resourceVersion: '3', uid: u}\nstatus: {a: 3}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			now := object(t, c.now)
			got, kept := takeBack(object(t, c.before), object(t, c.after), now)
			assert.Equal(t, object(t, c.want).Object, got.Object)
			assert.Equal(t, c.kept, kept)
			assert.Equal(t, object(t, c.now).Object, now.Object, "what is given is not changed")
		})
	}
}

func TestTakeBackOfAText(t *testing.T) {
	const (
		before = "accessLogFile: /dev/stdout\nrootNamespace: istio-system\noutboundTrafficPolicy:\n  mode: ALLOW_ANY\n"
		after  = "accessLogFile: /dev/stdout\nrootNamespace: istio-system\noutboundTrafficPolicy:\n  mode: REGISTRY_ONLY\n"
	)
	replace := strings.NewReplacer
	for name, c := range map[string]struct{ now, want string }{
		"nobody else":           {after, before},
		"a line before":         {"enableTracing: true\n" + after, "enableTracing: true\n" + before},
		"a line behind":         {after + "trustDomain: x\n", before + "trustDomain: x\n"},
		"before and behind":     {"a: 1\n" + after + "b: 2\n", "a: 1\n" + before + "b: 2\n"},
		"another line":          {replace("/dev/stdout", "/dev/null").Replace(after), replace("/dev/stdout", "/dev/null").Replace(before)},
		"another line is gone":  {replace("rootNamespace: istio-system\n", "").Replace(after), replace("rootNamespace: istio-system\n", "").Replace(before)},
		"the same line":         {replace("REGISTRY_ONLY", "REGISTRY_ONLY # ours").Replace(after), ""},
		"the same line is gone": {replace("  mode: REGISTRY_ONLY\n", "").Replace(after), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := takeBackText(before, after, c.now)
			assert.Equal(t, c.want != "", ok)
			assert.Equal(t, c.want, got)
		})
	}
	_, ok := takeBackText(strings.Repeat("a\n", maxLines+1), "b\n", "c\n")
	assert.False(t, ok, "too long to be compared")
}

// Whichever lines change at random, exactly our changes are taken back.
func FuzzTakeBackText(f *testing.F) {
	f.Add(uint8(3), uint8(1), "x", uint8(0), "y")
	f.Fuzz(func(t *testing.T, lines, ours uint8, ourText string, theirs uint8, theirText string) {
		if strings.ContainsAny(ourText+theirText, "\n") || lines == 0 {
			return
		}
		with := func(change map[uint8]string) string {
			var b strings.Builder
			for i := range lines {
				if text, ok := change[i]; ok {
					fmt.Fprintf(&b, "%d %s\n", i, text)
				} else {
					fmt.Fprintf(&b, "line %d\n", i)
				}
			}
			return b.String()
		}
		ours, theirs = ours%lines, theirs%lines
		got, ok := takeBackText(with(nil), with(map[uint8]string{ours: ourText}), with(map[uint8]string{ours: ourText, theirs: theirText}))
		if ours == theirs {
			return
		}
		if want := with(map[uint8]string{theirs: theirText}); !ok || got != want {
			t.Errorf("got %q, %v, want %q", got, ok, want)
		}
	})
}
