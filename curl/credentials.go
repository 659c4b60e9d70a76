package curl

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A Credential is a secret in a command line, with its place: the bytes from
// Start to End of a word.
type Credential struct {
	Word, Start, End int
	// Value is the secret. A script may have it in another form at that place.
	Value string
	// User is the user of the password; "" if that is not known.
	User string
	// Kind is the kind of the secret.
	Kind CredentialKind
}

// A CredentialKind is the kind of a [Credential].
type CredentialKind int

// The kinds of credentials.
const (
	Password CredentialKind = iota // of a user, a key, a URL; a token
	Header                         // the value of a header
	Cookies                        // the value of the header Cookie
)

// Credentials returns the secrets in the options and URLs of a command line that runs
// curl. It is lenient: a command line that Parse cannot read, such as a script of
// several commands, may have credentials all the same. secretHeader reports whether the
// value of a header is a secret.
func Credentials(argv []string, secretHeader func(name string) bool) []Credential {
	f := credentialFinder{secretHeader}
	return f.command(argv)
}

type credentialFinder struct{ secretHeader func(string) bool }

// command finds the credentials in the words of a command.
func (f credentialFinder) command(words []string) []Credential {
	if len(words) == 0 {
		return nil
	}
	name := path.Base(words[0])
	if name == "curl" {
		return shifted(f.options(words[1:]), 1)
	}
	if slices.Contains(shells, name) {
		if at, _ := scriptAt(words); at >= 0 {
			return shifted(f.script(words[at]), at)
		}
		return nil
	}
	var found []Credential
	for i, word := range words {
		if variable, value, ok := strings.Cut(word, "="); ok && isProxyVariable(variable) {
			found = append(found, at(i, len(variable)+1, userinfo(value))...)
		}
	}
	if i := slices.IndexFunc(words, func(w string) bool {
		name := path.Base(w)
		return name == "curl" || slices.Contains(shells, name)
	}); i > 0 {
		inner := shifted(f.command(words[i:]), i)
		for j, word := range words[:i] {
			variable, value, ok := strings.Cut(word, "=")
			if ok && value != "" && slices.ContainsFunc(inner, func(c Credential) bool { return mentions(c.Value, variable) }) {
				found = append(found, Credential{Word: j, Start: len(variable) + 1, End: len(word), Value: value})
			}
		}
		found = append(found, inner...)
	}
	return found
}

// mentions reports whether a word of a shell's script contains a variable.
func mentions(word, variable string) bool {
	return variable != "" && (strings.Contains(word, "$"+variable) || strings.Contains(word, "${"+variable))
}

// isProxyVariable reports whether an environment variable names a proxy.
func isProxyVariable(name string) bool {
	return strings.HasSuffix(strings.ToLower(name), "_proxy")
}

// script finds the credentials in the commands of a shell's script. They are in
// word 0.
func (f credentialFinder) script(script string) []Credential {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil {
		return nil
	}
	var found []Credential
	syntax.Walk(file, func(node syntax.Node) bool {
		call, ok := node.(*syntax.CallExpr)
		if !ok {
			return true
		}
		var words []string
		var places []place
		for _, assign := range call.Assigns {
			if assign.Value != nil {
				words = append(words, assign.Name.Value+"="+wordOf(script, assign.Value))
				places = append(places, place{int(assign.Pos().Offset()), int(assign.End().Offset())})
			}
		}
		for _, arg := range call.Args {
			words = append(words, wordOf(script, arg))
			places = append(places, place{int(arg.Pos().Offset()), int(arg.End().Offset())})
		}
		for _, c := range f.command(words) {
			p := places[c.Word]
			c.Word, c.Start, c.End = 0, p.start, p.end
			if i := strings.LastIndex(script[p.start:p.end], c.Value); i >= 0 {
				c.Start, c.End = p.start+i, p.start+i+len(c.Value)
			}
			found = append(found, c)
		}
		return true
	})
	return found
}

// wordOf returns the value of a word of a script; its source if only a shell can
// evaluate it.
func wordOf(script string, word *syntax.Word) string {
	if text, err := literal(word.Parts, false); err == nil {
		return text
	}
	return strings.Trim(script[word.Pos().Offset():word.End().Offset()], `"'`)
}

// options finds the credentials in the words after the word curl.
func (f credentialFinder) options(words []string) []Credential {
	args, _ := arguments(words) // those before a word that curl refuses
	var found []Credential
	for _, arg := range args {
		var in []Credential
		whole := Credential{End: len(arg.value), Value: arg.value}
		switch arg.name {
		case "user", "proxy-user":
			if user, password, ok := strings.Cut(arg.value, ":"); ok {
				in = ending(arg.value, password)
				for i := range in {
					in[i].User = user
				}
			}
		case "cert", "proxy-cert":
			if i := strings.LastIndexByte(arg.value, ':'); i > 1 && !strings.HasPrefix(arg.value, "pkcs11:") {
				in = ending(arg.value, arg.value[i+1:])
			}
		case "oauth2-bearer", "pass", "proxy-pass", "tlspassword", "proxy-tlspassword":
			in = []Credential{whole}
		case "cookie":
			if strings.Contains(arg.value, "=") { // otherwise it is the name of a file
				whole.Kind = Cookies
				in = []Credential{whole}
			}
		case "header", "proxy-header":
			name, value, _ := strings.Cut(arg.value, ":")
			if f.secretHeader(name) {
				in = ending(arg.value, strings.TrimLeft(value, " \t"))
				for i := range in {
					in[i].Kind = Header
					if strings.EqualFold(name, "cookie") {
						in[i].Kind = Cookies
					}
				}
			}
		case "url", "referer", "doh-url", "proxy", "proxy1.0", "preproxy", "socks4", "socks4a", "socks5", "socks5-hostname":
			in = userinfo(arg.value)
		}
		found = append(found, at(arg.word, arg.at, in)...)
	}
	return found
}

// ending returns the credential at the end of a value, if that is not empty.
func ending(value, secret string) []Credential {
	if secret == "" {
		return nil
	}
	return []Credential{{Start: len(value) - len(secret), End: len(value), Value: secret}}
}

// userinfo finds the password of a URL, which may lack its scheme.
func userinfo(url string) []Credential {
	start := 0
	if i := strings.Index(url, "://"); i >= 0 {
		start = i + len("://")
	}
	authority := url[start:]
	if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority = authority[:i]
	}
	end := strings.LastIndexByte(authority, '@')
	if end < 0 {
		return nil
	}
	colon := strings.IndexByte(authority[:end], ':')
	if colon < 0 || colon+1 == end {
		return nil
	}
	return []Credential{{Start: start + colon + 1, End: start + end, Value: authority[colon+1 : end], User: authority[:colon]}}
}

// at moves credentials of a value to the place of the value: in a word, from a byte on.
func at(word, byte int, found []Credential) []Credential {
	for i := range found {
		found[i].Word = word
		found[i].Start += byte
		found[i].End += byte
	}
	return found
}

// shifted moves credentials to a command line that has n more words in front.
func shifted(found []Credential, n int) []Credential {
	for i := range found {
		found[i].Word += n
	}
	return found
}
