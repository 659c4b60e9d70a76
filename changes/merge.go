package changes

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// serverFields are the fields of an object's metadata that only the server sets.
var serverFields = []string{
	"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp",
	"generation", "managedFields", "resourceVersion", "selfLink", "uid",
}

// content returns a copy of an object without its status and without the fields that
// only the server sets.
func content(obj *unstructured.Unstructured) map[string]any {
	if obj == nil {
		return map[string]any{}
	}
	all := obj.DeepCopy().Object
	delete(all, "status")
	if metadata, ok := all["metadata"].(map[string]any); ok {
		for _, field := range serverFields {
			delete(metadata, field)
		}
	}
	return all
}

// takeBack returns now without the changes from before to after. If a field is neither
// as before nor as after, somebody else has changed it since: it stays, and kept has
// its path.
func takeBack(before, after, now *unstructured.Unstructured) (result *unstructured.Unstructured, kept []string) {
	result = now.DeepCopy()
	m := merger{}
	m.fields(nil, content(before), content(after), result.Object)
	return result, m.kept
}

type merger struct{ kept []string }

func (m *merger) fields(path []string, before, after, now map[string]any) {
	names := map[string]bool{}
	for name := range before {
		names[name] = true
	}
	for name := range after {
		names[name] = true
	}
	for name := range names {
		b, was := before[name]
		a, is := after[name]
		if was == is && reflect.DeepEqual(a, b) {
			continue // not changed by us
		}
		n, there := now[name]
		value, keep := m.value(append(slices.Clone(path), name), field{b, was}, field{a, is}, field{n, there})
		if keep {
			now[name] = value
		} else {
			delete(now, name)
		}
	}
	slices.Sort(m.kept)
}

// A field is a value, or none.
type field struct {
	value any
	there bool
}

func (f field) equals(other field) bool {
	return f.there == other.there && (!f.there || reflect.DeepEqual(f.value, other.value))
}

// value returns the new value of a field that we changed, and whether the field stays.
func (m *merger) value(path []string, before, after, now field) (value any, keep bool) {
	switch {
	case now.equals(after):
		return before.value, before.there
	case now.equals(before):
		return now.value, now.there
	}
	// Somebody else has changed the field too, perhaps another part of it.
	if all, ok := maps3(before, after, now); ok {
		m.fields(path, all[0], all[1], all[2])
		return all[2], before.there || len(all[2]) > 0
	}
	if all, ok := lists3(before, after, now); ok {
		for i := range all[2] {
			if reflect.DeepEqual(all[0][i], all[1][i]) {
				continue // not changed by us
			}
			if value, keep := m.value(append(slices.Clone(path), fmt.Sprint(i)), field{all[0][i], true}, field{all[1][i], true}, field{all[2][i], true}); keep {
				all[2][i] = value
			}
		}
		return all[2], true
	}
	b, ok1 := before.value.(string)
	a, ok2 := after.value.(string)
	n, ok3 := now.value.(string)
	if ok1 && ok2 && ok3 && strings.Contains(a, "\n") {
		if text, ok := takeBackText(b, a, n); ok {
			return text, true
		}
	}
	m.kept = append(m.kept, strings.Join(path, "."))
	return now.value, now.there
}

// maps3 returns three mappings, an empty one for a missing field. It is not ok if one
// of them is something else, or now is missing.
func maps3(fields ...field) (all [3]map[string]any, ok bool) {
	for i, f := range fields {
		mapping, isMap := f.value.(map[string]any)
		switch {
		case isMap:
			all[i] = mapping
		case f.there || i == 2:
			return all, false
		default:
			all[i] = map[string]any{}
		}
	}
	return all, true
}

// lists3 returns three lists whose elements correspond: they have the same length, and
// the same names if they have names.
func lists3(fields ...field) (all [3][]any, ok bool) {
	for i, f := range fields {
		list, isList := f.value.([]any)
		if !isList || i > 0 && len(list) != len(all[0]) {
			return all, false
		}
		all[i] = list
	}
	name := func(element any) any {
		mapping, _ := element.(map[string]any)
		return mapping["name"]
	}
	for i := range all[0] {
		for _, list := range all[1:] {
			if !reflect.DeepEqual(name(all[0][i]), name(list[i])) {
				return all, false
			}
		}
	}
	return all, true
}

// takeBackText is takeBack for a text of several lines: it removes the changes from
// before to after from now, line by line. It is not ok if somebody else has changed the
// same lines.
func takeBackText(before, after, now string) (string, bool) {
	b, a, n := strings.SplitAfter(before, "\n"), strings.SplitAfter(after, "\n"), strings.SplitAfter(now, "\n")
	ours, ok1 := edits(a, b)
	theirs, ok2 := edits(a, n)
	if !ok1 || !ok2 {
		return "", false
	}
	all := append(ours, theirs...)
	slices.SortFunc(all, func(x, y edit) int { return cmp.Or(x.from-y.from, x.to-y.to) })
	var text strings.Builder
	at := 0
	for i, e := range all {
		if i > 0 && e.overlaps(all[i-1]) {
			return "", false
		}
		text.WriteString(strings.Join(a[at:e.from], ""))
		text.WriteString(strings.Join(e.lines, ""))
		at = e.to
	}
	text.WriteString(strings.Join(a[at:], ""))
	return text.String(), true
}

// An edit replaces the lines from (included) to (excluded) of a text.
type edit struct {
	from, to int
	lines    []string
}

// overlaps reports whether two edits, of which other comes first, change the same
// lines or insert lines at the same place.
func (e edit) overlaps(other edit) bool {
	return e.from < other.to || e.from == other.to && e.from == e.to && other.from == other.to
}

// maxLines bounds the texts that are compared line by line: the comparison needs memory
// for the product of their lengths.
const maxLines = 3000

// edits returns the edits that turn one text into another, with as few lines as
// possible. It is not ok if a text is too long.
func edits(from, to []string) (all []edit, ok bool) {
	if len(from) > maxLines || len(to) > maxLines {
		return nil, false
	}
	// common[i][j] is how many lines from[i:] and to[j:] have in common.
	common := make([][]int16, len(from)+1)
	for i := range common {
		common[i] = make([]int16, len(to)+1)
	}
	for i := len(from) - 1; i >= 0; i-- {
		for j := len(to) - 1; j >= 0; j-- {
			if from[i] == to[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(from) || j < len(to); {
		if i < len(from) && j < len(to) && from[i] == to[j] {
			i, j = i+1, j+1
			continue
		}
		e := edit{from: i}
		for i < len(from) || j < len(to) {
			switch {
			case i < len(from) && j < len(to) && from[i] == to[j]:
				goto same
			case j == len(to) || i < len(from) && common[i+1][j] >= common[i][j+1]:
				i++
			default:
				e.lines = append(e.lines, to[j])
				j++
			}
		}
	same:
		e.to = i
		all = append(all, e)
	}
	return all, true
}
