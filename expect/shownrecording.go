package expect

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/egressplay/egressplay/evidence"
)

// An author writes outputs down at different times, years apart: the same pod may have
// two names on one page. Two outputs were written down at one time if they have something
// in common that no other time has (a pod's name, an id), or times of the same hour; or
// if each was with a third one.

// oneHour is how far times in outputs that were written down at one time are apart at most.
const oneHour = time.Hour

// A recording is what an output has that no other time has.
type recording struct {
	unique []string
	times  []time.Time
}

// writtenAt matches the times at which a line of a log began or a response was sent.
// Other times, such as those of a certificate, are the same at all times.
var writtenAt = regexp.MustCompile(`(?m)^\s*\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z\]|^\s*(?:< )?[Dd]ate: (\w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d GMT)\s*$`)

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func isUUID(text string) bool { return uuid.MatchString(text) }

func recordingOf(shown string) recording {
	var r recording
	for _, t := range tokens(shown) {
		// A longer id may be that of an image, which is the same at all times.
		if t.kind == "pod" || t.kind == "uuid" || t.kind == "id" && (len(t.value) == 16 || len(t.value) == 32) {
			r.unique = append(r.unique, t.value)
		}
	}
	for _, m := range writtenAt.FindAllStringSubmatch(strings.ReplaceAll(shown, "\r", ""), -1) {
		at, err := time.Parse("2006-01-02T15:04:05", m[1])
		if m[1] == "" {
			at, err = time.Parse("Mon, 2 Jan 2006 15:04:05 GMT", m[2])
		}
		if err == nil {
			r.times = append(r.times, at)
		}
	}
	return r
}

// with reports whether two outputs were written down at one time, by what they have.
func (r recording) with(other recording) bool {
	return slices.ContainsFunc(r.unique, func(v string) bool { return slices.Contains(other.unique, v) }) ||
		slices.ContainsFunc(r.times, func(t time.Time) bool {
			return slices.ContainsFunc(other.times, func(o time.Time) bool { return t.Sub(o).Abs() <= oneHour })
		})
}

// atOneTime reports whether two outputs of a tutorial were written down at one time, by
// what they and those between have in common.
func atOneTime(one, other string, all []evidence.Output) bool {
	rest := make([]recording, 0, len(all)+1)
	for i := range all {
		rest = append(rest, recordingOf(all[i].Shown))
	}
	rest = append(rest, recordingOf(other))
	target := recordingOf(other)
	reached := []recording{recordingOf(one)}
	for len(reached) > 0 {
		r := reached[0]
		reached = reached[1:]
		if r.with(target) {
			return true
		}
		rest = slices.DeleteFunc(rest, func(next recording) bool {
			if r.with(next) {
				reached = append(reached, next)
				return true
			}
			return false
		})
	}
	return false
}
