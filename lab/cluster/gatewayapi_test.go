package cluster

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRemoveDescriptions(t *testing.T) {
	schema := map[string]any{
		"description": "a kind",
		"properties": map[string]any{
			"description": map[string]any{"type": "string", "description": "a field of that name"},
			"list":        map[string]any{"items": []any{map[string]any{"description": "x", "type": "string"}}},
		},
	}
	removeDescriptions(schema)
	assert.Equal(t, map[string]any{
		"properties": map[string]any{
			"description": map[string]any{"type": "string"},
			"list":        map[string]any{"items": []any{map[string]any{"type": "string"}}},
		},
	}, schema)
}
