package runner

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/egressplay/egressplay/evidence"
	"github.com/egressplay/egressplay/redact"
)

// shown returns what leaves the runner of an event: a copy in which each text is
// bounded, without control sequences and without secrets. Everything else in this
// package has the texts as they are, for the verdicts to be true.
func (r *Runner) shown(e Event) Event { return shown(e, r.Secrets) }

func shown(e Event, secrets *redact.Redactor) Event {
	e.Evidence = bounded(e.Evidence)
	return shower{secrets}.copy(reflect.ValueOf(e)).Interface().(Event)
}

// A shower copies values with their texts made fit to be shown. It goes by
// reflection, so that no field that is added can be forgotten.
type shower struct{ secrets *redact.Redactor }

var (
	textType   = reflect.TypeFor[string]()
	timeType   = reflect.TypeFor[time.Time]()
	headerType = reflect.TypeFor[http.Header]()
)

// copy returns a deep copy of v. A text of a type of its own is a constant, such
// as a status.
func (s shower) copy(v reflect.Value) reflect.Value {
	if v.IsZero() {
		return v
	}
	switch v.Kind() {
	case reflect.String:
		if v.Type() == textType {
			return reflect.ValueOf(s.text(v.String()))
		}
	case reflect.Pointer:
		into := reflect.New(v.Type().Elem())
		into.Elem().Set(s.copy(v.Elem()))
		return into
	case reflect.Struct:
		return s.copyStruct(v)
	case reflect.Slice:
		into := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			into.Index(i).Set(s.copy(v.Index(i)))
		}
		return into
	case reflect.Map:
		if v.Type() == headerType {
			v = reflect.ValueOf(maskedHeader(v.Interface().(http.Header)))
		}
		into := reflect.MakeMapWithSize(v.Type(), v.Len())
		for key, value := range v.Seq2() {
			into.SetMapIndex(s.copy(key), s.copy(value))
		}
		return into
	}
	return v
}

func (s shower) copyStruct(v reflect.Value) reflect.Value {
	if v.Type() == timeType {
		return v
	}
	into := reflect.New(v.Type()).Elem()
	into.Set(v)
	switch part := into.Addr().Interface().(type) {
	case *evidence.Verdict:
		maskVerdict(part)
	case *evidence.Command:
		part.Argv = s.secrets.Argv(part.Argv)
	}
	for i := range into.NumField() {
		if v.Type().Field(i).IsExported() {
			into.Field(i).Set(s.copy(into.Field(i)))
		}
	}
	return into
}

// text returns a text without secrets, also those that control characters hid,
// and as [Plain] has it.
func (s shower) text(text string) string {
	if most := 2 * maxShown; len(text) > most {
		text = text[:most] + "…" // a secret that is cut here is known by this sign
	}
	redacted := s.secrets.Text(text)
	plain := Plain(redacted)
	if plain == redacted {
		return plain
	}
	return s.secrets.Text(plain)
}

// maskedHeader returns a header without its secret values.
func maskedHeader(header http.Header) http.Header {
	masked := make(http.Header, len(header))
	for name, values := range header {
		if redact.Header(name) {
			values = slices.Repeat([]string{redact.Mark}, len(values))
		}
		masked[name] = values
	}
	return masked
}

// maskVerdict masks what a verdict says of a header whose value is secret.
func maskVerdict(v *evidence.Verdict) {
	if !redact.Header(v.Key[strings.LastIndexByte(v.Key, '.')+1:]) {
		return
	}
	for _, text := range []*string{&v.Want, &v.Got} {
		if *text != "" && *text != "{absent: true}" {
			*text = redact.Mark
		}
	}
}

// learn keeps the secrets secret that an attempt has brought to light.
func (r *Runner) learn(a *evidence.Attempt) {
	for _, response := range a.Responses {
		for name, values := range response.Header {
			for _, value := range values {
				r.Secrets.AddHeader(name, value)
			}
		}
	}
}

// bounded returns what an event has of an attempt: of each list the first items,
// of the counters those that grew.
func bounded(a *evidence.Attempt) *evidence.Attempt {
	if a == nil || a.Command == nil {
		return nil
	}
	b := *a
	c := *a.Command
	c.Argv = first(c.Argv)
	b.Command = &c
	b.Responses, b.Transfers, b.Lines, b.Unread, b.Ways = first(b.Responses), first(b.Transfers), first(b.Lines), first(b.Unread), first(b.Ways)
	// What concerns nobody in this attempt is not worth its length.
	b.Counters = nil
	for _, c := range a.Counters {
		if c.Grew != 0 && len(b.Counters) < maxListed {
			b.Counters = append(b.Counters, c)
		}
	}
	if a.Arrivals != nil {
		arrivals := *a.Arrivals
		arrivals.All = first(arrivals.All)
		b.Arrivals = &arrivals
	}
	return &b
}

// maxListed is how many items of a list go into an event.
const maxListed = 100

func first[T any](list []T) []T { return list[:min(len(list), maxListed)] }
