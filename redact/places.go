package redact

import (
	"regexp"
	"slices"
	"strings"
)

// headers are the headers whose values are secret, in small letters.
var headers = []string{
	"proxy-authorization", "authorization", "set-cookie", "cookie",
	"x-api-key", "api-key", "x-auth-token", "x-amz-security-token", "x-vault-token", "private-token",
}

// anyHeader matches the name of one of them.
var anyHeader = `(?:` + strings.Join(headers, "|") + `)`

// Header reports whether the values of a header are secret.
func Header(name string) bool {
	return slices.Contains(headers, strings.ToLower(strings.TrimSpace(name)))
}

// headerName matches the name of such a header, up to its value: "Cookie: ",
// `"cookie":["`, `\"Authorization\": \"`, "Cookie:[".
var headerName = regexp.MustCompile(`(?i)(^|[^\w-]|\\[nrt])` + anyHeader + `(\\*["']|)[ \t]*[:=][ \t]*(?:\[\s*)?(\\*["']|)`)

// headerPair matches such a header as a pair of name and value, as in HTTPRoutes and
// Envoy's configuration: "name: Authorization" and "value: Basic abc".
var headerPair = regexp.MustCompile(`(?i)(\b(?:name|key)\\*["']?\s*:\s*\\*["']?` + anyHeader + `\\*["']?\s*,?\s*\\*["']?value\\*["']?\s*:\s*)` +
	`(\\*"(?:[^"\\]|\\[^"])*\\*"|'[^']*'|[^\s,}][^,}\n]*)`)

// jarLine matches a line of a file of cookies, as curl -c writes it, up to the value;
// addedCookie matches curl -v's message about a cookie.
var (
	jarLine     = regexp.MustCompile(`(?m)^([^\t\n]+\t(?:TRUE|FALSE)\t[^\t\n]*\t(?:TRUE|FALSE)\t\d+\t[^\t\n]+\t)(.+)$`)
	addedCookie = regexp.MustCompile(`((?:Added|Replaced) cookie [^\s=]+=")([^"\n]+)`)
)

// urlPassword matches a URL up to its password, and the password. As for curl, the last
// @ ends it.
var urlPassword = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@:'"]*:)([^\s/?#'"]+)@`)

// userOption matches an option that takes NAME:PASSWORD, up to the password, on a
// command line or in a file of curl's options.
var userOption = regexp.MustCompile(`((?:^|[\s'"])(?:-[a-zA-Z]*[uU]|--user|--proxy-user|(?:proxy-)?user =)(?:[ =]|\\?["'])*)([^\s:'"\\-][^\s:'"\\]*):([^\s'"\\]+)`)

// passwordOption matches an option that takes a password, such as wget's.
var passwordOption = regexp.MustCompile(`((?:^|[\s'"])--(?:[a-z]+-)?password(?:[ =]|\\?["'])+)([^\s'"\\]+)`)

// places replaces the texts at places where a secret always is.
func places(text string) string {
	lower := strings.ToLower(text)
	if slices.ContainsFunc(headers, func(name string) bool { return strings.Contains(lower, name) }) {
		text = headerPair.ReplaceAllString(headerValues(text), "${1}"+Mark)
	}
	if strings.Contains(text, " cookie ") {
		text = addedCookie.ReplaceAllString(text, "${1}"+Mark)
	}
	if strings.Contains(text, "\tFALSE\t") || strings.Contains(text, "\tTRUE\t") {
		text = jarLine.ReplaceAllString(text, "${1}"+Mark)
	}
	if strings.Contains(text, "://") {
		text = urlPassword.ReplaceAllString(text, "${1}"+Mark+"@")
	}
	if strings.Contains(text, "password") {
		text = passwordOption.ReplaceAllString(text, "${1}"+Mark)
	}
	if strings.Contains(text, ":") && (strings.Contains(text, "-") || strings.Contains(text, "user =")) {
		text = userOption.ReplaceAllStringFunc(text, func(match string) string {
			m := userOption.FindStringSubmatch(match)
			if digits(m[2]) && digits(m[3]) || strings.HasPrefix(m[3], "//") { // the numbers of a user and a group, or a URL
				return match
			}
			return m[1] + m[2] + ":" + Mark
		})
	}
	return text
}

func digits(text string) bool { return strings.Trim(text, "0123456789") == "" }

// headerValues replaces the values of headers in a text of any kind: a header as
// it is sent, or in JSON, YAML, a command line, or a Go map.
func headerValues(text string) string {
	var b strings.Builder
	for {
		m := headerName.FindStringSubmatchIndex(text)
		if m == nil {
			b.WriteString(text)
			return b.String()
		}
		before, quote := text[m[2]:m[3]], text[m[6]:m[7]]
		named := m[4] < m[5] // the name is in quotes, as in JSON
		list := strings.Contains(text[m[5]:m[6]], "[")
		start := m[1]
		if !named && !list {
			start = m[6] // the quote belongs to the value
		}
		value := text[start:]
		var n int // the length of the value
		switch {
		case quote != "" && (named || list):
			n = quotedEnd(value, quote)
			for list && n < len(value) { // the other values of the list
				next := listNext.FindStringIndex(value[n:])
				if next == nil {
					break
				}
				n += next[1]
				n += quotedEnd(value[n:], quote)
			}
		case list:
			n = upTo(value, "]\n")
		case named: // null or the like
			n = upTo(value, ",}\n")
		case before == `"` || before == "'":
			// The header is a word of a command, or plain text.
			n = wordEnd(value, before[0])
		default:
			n = lineEnd(value)
		}
		b.WriteString(text[:start])
		switch v := strings.TrimSpace(value[:n]); {
		case v == "" || v == "null" || strings.HasPrefix(v, "{"): // there is no value, or a mapping
			n = 0
		case v == Mark || strings.HasPrefix(v, Mark+" ") || strings.HasPrefix(v, Mark+"'") || strings.HasPrefix(v, Mark+`"`):
			n = strings.Index(value, Mark) + len(Mark)
			b.WriteString(Mark)
		default:
			b.WriteString(Mark)
		}
		text = value[n:]
	}
}

// listNext matches the text between two values of a list, up to the quote of the
// second.
var listNext = regexp.MustCompile(`^\\*["'][ \t\n]*,[ \t\n]*\\*["']`)

// quotedEnd returns the end of a text that began after a quote, which may have
// backslashes in front of it.
func quotedEnd(value, quote string) int {
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && !strings.HasPrefix(value[i:], quote) {
			i++ // and the character that it escapes
			continue
		}
		if strings.HasPrefix(value[i:], quote) {
			return i
		}
	}
	return len(value)
}

// wordEnd returns where a word of a command ends that is within quotes: a shell
// goes on behind '\”.
func wordEnd(value string, quote byte) int {
	for i := 0; i < len(value); i++ {
		switch {
		case value[i] == '\n':
			return i
		case quote == '\'' && strings.HasPrefix(value[i:], `'\''`):
			i += len(`'\''`) - 1
		case quote == '"' && value[i] == '\\':
			i++
		case value[i] == quote:
			return i
		}
	}
	return len(value)
}

// lineEnd returns the end of a line, whose line feed may be escaped.
func lineEnd(value string) int {
	n := len(value)
	for _, end := range []string{"\n", "\r", `\n`, `\r`} {
		if i := strings.Index(value[:n], end); i >= 0 {
			n = i
		}
	}
	return n
}

func upTo(value, ends string) int {
	if i := strings.IndexAny(value, ends); i >= 0 {
		return i
	}
	return len(value)
}
