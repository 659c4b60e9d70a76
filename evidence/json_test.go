package evidence_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/egressplay/egressplay/evidence"
)

func TestDurationsAreMillisecondsInJSON(t *testing.T) {
	a := &evidence.Attempt{
		Slack:     1500 * time.Microsecond,
		Command:   &evidence.Command{Argv: []string{"curl"}, Elapsed: 190 * time.Millisecond},
		Transfers: []evidence.Transfer{{URL: "http://a", Elapsed: 2 * time.Second}},
		Lines:     []evidence.Line{{Text: "a line", Duration: 1234567 * time.Nanosecond}},
	}
	text, err := json.Marshal(a)
	require.NoError(t, err)
	var got struct {
		SlackMs float64 `json:"slackMs"`
		Command struct {
			Argv      []string `json:"argv"`
			ElapsedMs float64  `json:"elapsedMs"`
		} `json:"command"`
		Transfers []struct {
			URL       string  `json:"url"`
			ElapsedMs float64 `json:"elapsedMs"`
		} `json:"transfers"`
		Lines []struct {
			Text       string  `json:"text"`
			DurationMs float64 `json:"durationMs"`
		} `json:"lines"`
	}
	require.NoError(t, json.Unmarshal(text, &got))
	assert.Equal(t, 1.5, got.SlackMs)
	assert.Equal(t, 190.0, got.Command.ElapsedMs)
	assert.Equal(t, []string{"curl"}, got.Command.Argv)
	assert.Equal(t, 2000.0, got.Transfers[0].ElapsedMs)
	assert.Equal(t, "http://a", got.Transfers[0].URL)
	assert.Equal(t, 1.235, got.Lines[0].DurationMs)
	assert.Equal(t, "a line", got.Lines[0].Text)

	a.Lines[0].Duration = 1235 * time.Microsecond
	var again evidence.Attempt
	require.NoError(t, json.Unmarshal(text, &again))
	assert.Equal(t, a, &again)
}

// No duration is in nanoseconds in JSON.
func TestNoDurationHasAName(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var look func(reflect.Type)
	look = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice:
			look(typ.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[typ] || typ == reflect.TypeFor[time.Time]() {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Type == reflect.TypeFor[time.Duration]() {
				assert.Equal(t, "-", f.Tag.Get("json"), "%s.%s", typ, f.Name)
			}
			look(f.Type)
		}
	}
	look(reflect.TypeFor[evidence.Attempt]())
	assert.Greater(t, len(seen), 8)
}
