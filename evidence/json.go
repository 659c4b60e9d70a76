package evidence

import (
	"encoding/json"
	"math"
	"time"
)

// In JSON a duration is a number of milliseconds, and its name ends in Ms.

// milliseconds returns a duration in milliseconds, to the microsecond.
func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}

// duration is the reverse of [milliseconds], to the microsecond.
func duration(ms float64) time.Duration {
	return time.Duration(math.Round(ms*1000)) * time.Microsecond
}

// MarshalJSON implements [json.Marshaler].
func (a Attempt) MarshalJSON() ([]byte, error) {
	type plain Attempt
	return json.Marshal(struct {
		plain
		SlackMS float64 `json:"slackMs,omitempty"`
	}{plain(a), milliseconds(a.Slack)})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (a *Attempt) UnmarshalJSON(text []byte) error {
	type plain Attempt
	v := struct {
		*plain
		SlackMS float64 `json:"slackMs,omitempty"`
	}{plain: (*plain)(a)}
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	a.Slack = duration(v.SlackMS)
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (c Command) MarshalJSON() ([]byte, error) {
	type plain Command
	return json.Marshal(struct {
		plain
		ElapsedMS float64 `json:"elapsedMs"`
	}{plain(c), milliseconds(c.Elapsed)})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *Command) UnmarshalJSON(text []byte) error {
	type plain Command
	v := struct {
		*plain
		ElapsedMS float64 `json:"elapsedMs"`
	}{plain: (*plain)(c)}
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	c.Elapsed = duration(v.ElapsedMS)
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (t Transfer) MarshalJSON() ([]byte, error) {
	type plain Transfer
	return json.Marshal(struct {
		plain
		ElapsedMS float64 `json:"elapsedMs"`
	}{plain(t), milliseconds(t.Elapsed)})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Transfer) UnmarshalJSON(text []byte) error {
	type plain Transfer
	v := struct {
		*plain
		ElapsedMS float64 `json:"elapsedMs"`
	}{plain: (*plain)(t)}
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	t.Elapsed = duration(v.ElapsedMS)
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (l Line) MarshalJSON() ([]byte, error) {
	type plain Line
	return json.Marshal(struct {
		plain
		DurationMS float64 `json:"durationMs"`
	}{plain(l), milliseconds(l.Duration)})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (l *Line) UnmarshalJSON(text []byte) error {
	type plain Line
	v := struct {
		*plain
		DurationMS float64 `json:"durationMs"`
	}{plain: (*plain)(l)}
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	l.Duration = duration(v.DurationMS)
	return nil
}
