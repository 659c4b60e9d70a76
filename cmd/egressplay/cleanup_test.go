package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/changes"
	"github.com/egressplay/egressplay/cluster"
)

// A run has notes in each namespace in which it changed a Secret. It is one run.
func TestARunIsListedOnce(t *testing.T) {
	kept := func(id, namespace string, all ...*changes.Change) leaving {
		return leaving{Kept: &changes.Kept{Run: changes.Run{ID: id, Holder: "ann@laptop", Started: time.Now()}, Namespace: namespace, Changes: all}}
	}
	change := func(number int, kind, namespace string) *changes.Change {
		return &changes.Change{Number: number, What: kind + "/a", Ref: cluster.Ref{Kind: kind, Namespace: namespace, Name: "a"}}
	}
	found := []leaving{
		kept("one", "default", change(1, "configmap", "default"), change(3, "service", "default")),
		kept("other", "default", change(1, "configmap", "default")),
		kept("one", "elsewhere", change(2, "secret", "elsewhere")),
	}
	var out bytes.Buffer
	require.NoError(t, listLeavings(&out, found))
	lines := strings.Split(strings.TrimSpace(regexp.MustCompile(` {2,}`).ReplaceAllString(out.String(), "|")), "\n")
	require.Len(t, lines, 3)
	assert.Regexp(t, `^one\|.*\|service/a in default, secret/a in elsewhere, configmap/a in default$`, lines[1], "newest first")
	assert.Regexp(t, `^other\|.*\|configmap/a in default$`, lines[2])
	assert.Len(t, found[0].Changes, 2, "what is put back stays as it was noted")
}
