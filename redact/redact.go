package redact

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Mark replaces a secret.
const Mark = "(secret)"

// Short and Shortest are lengths of values in characters; see the package.
const (
	Short    = 6
	Shortest = 4
)

// longest is the largest size in bytes of a value that is searched for in all its
// forms. A longer one is found by its lines.
const longest = 64 << 10

// A Redactor replaces secrets in texts. The nil Redactor knows no values. Its
// methods may be called from several goroutines.
type Redactor struct {
	mu    sync.RWMutex
	known map[string]bool // the values that were added
	forms []string        // of values, the longest first
	cores []string        // of values in base64, the longest first
	words []string        // short values
	texts [][]string      // the lines of values that have several
}

// New returns a Redactor that knows no values yet.
func New() *Redactor { return &Redactor{known: map[string]bool{}} }

// ordinary are words that never become secret at any place, even if a value is equal to
// one.
var ordinary = setOf(`admin chunked curl debug default deflate disabled egressplay enabled error exact failed
	false get github google grpc gzip head host html http https identity info istio istio-system json kube-public
	kube-system kubernetes local localhost mtls mutual name none null opaque passed password path plain port post
	prefix prod production proxy public regex root secret server service sidecar simple skipped sleep staging
	status string test text token true type unknown user username value yaml 127.0.0.1 0.0.0.0`)

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

// Add keeps values with at least [Short] characters secret from now on, such as those
// of a Kubernetes Secret. Many shorter values of Secrets are not secret at all, such as
// "true" or "443".
func (r *Redactor) Add(values ...string) { r.add(values, Short, false) }

// AddWord keeps values secret that were given as secrets one by one, even short ones.
func (r *Redactor) AddWord(values ...string) { r.add(values, Shortest, false) }

// AddGiven keeps a value secret that the user has declared as one: it is found as a
// word of its own even if it is an ordinary word. It has at least [Shortest]
// characters.
func (r *Redactor) AddGiven(value string) { r.add([]string{value}, Shortest, true) }

func (r *Redactor) add(values []string, least int, alsoOrdinary bool) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, value := range values {
		value = strings.TrimSpace(value)
		length := utf8.RuneCountInString(value)
		common := ordinary[strings.ToLower(value)]
		if length < least || !utf8.ValidString(value) || common && !alsoOrdinary || r.known[value] || strings.Contains(value, Mark) {
			continue
		}
		r.known[value] = true
		switch {
		case length < Short || common:
			r.words = append(r.words, value)
		case strings.Contains(value, "\n"):
			r.addLines(value)
		default:
			r.addForms(value)
		}
	}
	longestFirst := func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) }
	for _, list := range []*[]string{&r.forms, &r.cores, &r.words} {
		slices.SortFunc(*list, longestFirst)
		*list = slices.Compact(*list)
	}
}

// Text returns text without the secrets in it.
func (r *Redactor) Text(text string) string {
	if text == "" || text == Mark {
		return text
	}
	return places(r.values(text))
}

// values replaces the known values.
func (r *Redactor) values(text string) string {
	if r == nil {
		return text
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.known) == 0 {
		return text
	}
	for _, lines := range r.texts {
		text = replaceLines(text, lines)
	}
	for _, form := range r.forms {
		text = strings.ReplaceAll(text, form, Mark)
	}
	for _, core := range r.cores {
		text = replaceToken(text, core)
	}
	text = r.replaceCut(text)
	for _, word := range r.words {
		text = Word(text, word)
	}
	return text
}

// Word returns text with Mark in place of a value that is a word of its own, between
// characters other than letters and digits.
func Word(text, value string) string {
	if value == "" || !strings.Contains(text, value) {
		return text
	}
	var b strings.Builder
	last := rune(0) // the character before the rest of text
	for {
		i := strings.Index(text, value)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		end := i + len(value)
		if i > 0 {
			last, _ = utf8.DecodeLastRuneInString(text[:i])
		}
		next, _ := utf8.DecodeRuneInString(text[end:])
		if inWord(last) || end < len(text) && inWord(next) {
			_, size := utf8.DecodeRuneInString(text[i:])
			end = i + size
			b.WriteString(text[:end])
		} else {
			b.WriteString(text[:i] + Mark)
		}
		last, _ = utf8.DecodeLastRuneInString(text[:end])
		text = text[end:]
	}
}

func inWord(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }
