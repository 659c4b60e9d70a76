package redact

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
)

// addForms adds the forms that a value of one line can take.
func (r *Redactor) addForms(value string) {
	r.forms = append(r.forms, value)
	if len(value) > longest {
		return
	}
	quoted := strconv.Quote(value)
	r.forms = append(r.forms,
		quoted[1:len(quoted)-1],
		inJSON(value, false), inJSON(value, true),
		url.QueryEscape(value), url.PathEscape(value),
		strings.ReplaceAll(value, "'", `'\''`), // a shell
		strings.ReplaceAll(value, "'", `\'`),
		strings.ReplaceAll(value, "'", "''"), // YAML
	)
	r.cores = append(r.cores, cores(value)...)
}

func inJSON(value string, html bool) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(html)
	if enc.Encode(value) != nil {
		return value // a text is always encoded
	}
	return strings.TrimSuffix(b.String(), "\n")[1 : b.Len()-2]
}

// cores returns the parts that are the same in every base64 text that contains a value,
// for each offset in a group of three bytes.
func cores(value string) []string {
	var all []string
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift, lead := range []int{0, 2, 3} {
			text := enc.EncodeToString(append(make([]byte, shift), value...))
			all = append(all, text[lead:8*(shift+len(value))/6])
		}
	}
	return all
}

// replaceToken replaces each base64 text that has core in it.
func replaceToken(text, core string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, core)
		if i < 0 {
			if b.Len() == 0 {
				return text
			}
			b.WriteString(text)
			return b.String()
		}
		start, end := i, i+len(core)
		for start > 0 && isBase64(text[start-1]) {
			start--
		}
		for end < len(text) && isBase64(text[end]) {
			end++
		}
		for end < len(text) && text[end] == '=' {
			end++
		}
		b.WriteString(text[:start] + Mark)
		text = text[end:]
	}
}

func isBase64(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("+/-_", c) >= 0
}

// ellipsis marks where a text was cut.
const ellipsis = "…"

// replaceCut replaces the beginnings of values at places where a text was cut.
func (r *Redactor) replaceCut(text string) string {
	if !strings.Contains(text, ellipsis) {
		return text
	}
	parts := strings.SplitAfter(text, ellipsis)
	for i, part := range parts {
		before, wasCut := strings.CutSuffix(part, ellipsis)
		if !wasCut {
			continue
		}
		for _, list := range [][]string{r.forms, r.cores} {
			for _, form := range list {
				for n := min(len(form), len(before)); n >= Shortest; n-- {
					if strings.HasSuffix(before, form[:n]) {
						before = before[:len(before)-n] + Mark
						break
					}
				}
			}
		}
		parts[i] = before + ellipsis
	}
	return strings.Join(parts, "")
}
