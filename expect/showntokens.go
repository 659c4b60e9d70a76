package expect

import (
	"regexp"
	"strconv"
	"strings"
)

// A token is a part of a line whose value differs from run to run.
type token struct {
	kind  string
	value string
}

// kindsOfTokens are the kinds of values that vary, in the order in which they are
// looked for. An address that an author leaves open is X.Y.Z. A literal text is of the kind "".
var kindsOfTokens = []struct{ kind, pattern string }{
	{"date", `(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`},
	{"date", `\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}`},
	{"date", `\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?`},
	{"uuid", `\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`},
	{"address", `\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b|\b[XYZ]\.[XYZ]\.[XYZ](?:\.[XYZ])?\b`},
	{"pod", `-(?:[0-9a-f]{8,10}|[bcdfghjklmnpqrstvwxz2456789]{7,10}|\d{9,10})-[a-z0-9]{5}\b`},
	{"replicaset", `\breplicasets?\.apps/[a-z0-9.-]*[a-z0-9]-(?:[0-9a-f]{8,10}|[bcdfghjklmnpqrstvwxz2456789]{7,10})\b`}, // of which the end varies
	{"client", `\bcurl/\d+\.[0-9.]+(?:-DEV)?`},
	{"documentation", `\bistio\.io/v\d+\.\d+/`}, // of the version of Istio that prints its address
	{"id", `\b[0-9a-f]{16,}\b`},
	{"port", `:[1-6]\d{4}\b`},
}

var tokenPattern = func() *regexp.Regexp {
	var parts []string
	for _, k := range kindsOfTokens {
		parts = append(parts, "("+k.pattern+")")
	}
	return regexp.MustCompile(strings.Join(parts, "|"))
}()

// fixedAddresses mean the same everywhere.
var fixedAddresses = map[string]bool{"0.0.0.0": true, "127.0.0.1": true, "127.0.0.6": true}

// tokens splits a text into literal parts and values that vary.
func tokens(text string) []token {
	var all []token
	at := 0
	for _, m := range tokenPattern.FindAllStringSubmatchIndex(text, -1) {
		value, kind := text[m[0]:m[1]], ""
		for i, k := range kindsOfTokens {
			if m[2*i+2] >= 0 {
				kind = k.kind
			}
		}
		if kind == "replicaset" {
			m[0] += strings.LastIndexByte(value, '-')
			value = text[m[0]:m[1]]
		}
		if kind == "address" && fixedAddresses[value] {
			continue
		}
		if kind == "port" {
			if n, _ := strconv.Atoi(value[1:]); n < 16384 || n > 65535 {
				continue
			}
		}
		all = append(all, token{"", text[at:m[0]]}, token{kind, value})
		at = m[1]
	}
	return append(all, token{"", text[at:]})
}

// tokensMatch compares two texts: literal parts must be equal, values that vary of
// one kind, and an ellipsis in the page's stands for any text.
func tokensMatch(page, real string, bound *bindings) bool {
	page, real = squeeze(page), squeeze(real)
	if strings.Contains(page, "...") || strings.Contains(page, "…") {
		return elided(strings.ReplaceAll(page, "…", "..."), real)
	}
	p, r := tokens(page), tokens(real)
	if len(p) != len(r) {
		return false
	}
	for i := range p {
		if p[i].kind != r[i].kind || p[i].kind == "" && p[i].value != r[i].value {
			return false
		}
	}
	for i := range p {
		if p[i].kind != "" && !bound.bind(p[i].kind, p[i].value, r[i].value) {
			return false
		}
	}
	return true
}

// elided matches a text with ellipses: its parts in order, the values that vary in
// them by their kinds.
func elided(page, real string) bool {
	var pattern strings.Builder
	pattern.WriteString("^")
	for i, part := range strings.Split(page, "...") {
		if i > 0 {
			pattern.WriteString(".*")
		}
		for _, t := range tokens(part) {
			if t.kind == "" {
				pattern.WriteString(regexp.QuoteMeta(t.value))
				continue
			}
			for _, k := range kindsOfTokens {
				if k.kind == t.kind && regexp.MustCompile("^(?:"+k.pattern+")$").MatchString(t.value) {
					pattern.WriteString("(?:" + k.pattern + ")")
					break
				}
			}
		}
	}
	pattern.WriteString("$")
	re, err := regexp.Compile(pattern.String())
	return err == nil && re.MatchString(real)
}

// squeeze makes each run of blanks one blank.
func squeeze(text string) string { return strings.Join(strings.Fields(text), " ") }
