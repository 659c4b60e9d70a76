package redact

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/curl"
)

// Argv returns a command line without the secrets in it: the passwords, tokens, cookies
// and headers that it passes to curl, however short they are. They are kept secret from
// now on.
func (r *Redactor) Argv(argv []string) []string {
	masked := slices.Clone(argv)
	found := curl.Credentials(argv, Header)
	slices.SortFunc(found, func(a, b curl.Credential) int { return cmp.Or(a.Word-b.Word, b.Start-a.Start) })
	for _, c := range found {
		r.addCredential(c)
		word := masked[c.Word]
		masked[c.Word] = word[:c.Start] + Mark + word[c.End:]
	}
	for i := range masked {
		masked[i] = r.Text(masked[i])
		if i == 0 || !strings.HasPrefix(masked[i-1], "-") {
			continue
		}
		// A word may be a secret by the option in front of it.
		option := masked[i-1] + " "
		if value, ok := strings.CutPrefix(r.Text(option+masked[i]), option); ok {
			masked[i] = value
		}
	}
	return masked
}

// addCredential keeps a credential secret in each of the forms in which a server
// may send it back.
func (r *Redactor) addCredential(c curl.Credential) {
	switch c.Kind {
	case curl.Password:
		for _, unescape := range []func(string) string{func(s string) string { return s }, unescaped} {
			r.AddWord(unescape(c.Value))
			if c.User != "" { // as in Basic authentication, which joins both
				r.AddWord(unescape(c.User) + ":" + unescape(c.Value))
			}
		}
	case curl.Header:
		r.addAuthorization(c.Value)
	case curl.Cookies:
		r.AddWord(c.Value)
		r.AddCookies(c.Value)
	}
}

// unescaped returns a part of a URL without its escapes.
func unescaped(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// addAuthorization keeps the value of an Authorization header secret, with and without
// its scheme.
func (r *Redactor) addAuthorization(value string) {
	r.AddWord(value)
	scheme, token, ok := strings.Cut(value, " ")
	if !ok {
		return
	}
	r.AddWord(token)
	if !strings.EqualFold(scheme, "basic") {
		return
	}
	if plain, err := base64.StdEncoding.DecodeString(token); err == nil {
		_, password, _ := strings.Cut(string(plain), ":")
		r.AddWord(password)
	}
}

// AddCookies keeps the values of cookies secret, as the header Cookie or
// Set-Cookie lists them. The attributes of a Set-Cookie, such as Path=/, do not count
// as cookies.
func (r *Redactor) AddCookies(header string) {
	for part := range strings.SplitSeq(header, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if !attributes[strings.ToLower(name)] {
			r.AddWord(strings.Trim(value, `"`))
		}
	}
}

// attributes are the attributes of a Set-Cookie (RFC 6265, section 5.2, and its draft
// successor), in small letters.
var attributes = map[string]bool{
	"domain": true, "expires": true, "httponly": true, "max-age": true, "partitioned": true,
	"path": true, "priority": true, "samesite": true, "secure": true,
}

// AddHeader keeps the value of a header secret if that is secret.
func (r *Redactor) AddHeader(name, value string) {
	switch {
	case !Header(name):
	case strings.HasSuffix(strings.ToLower(name), "cookie"):
		r.AddCookies(value)
	default:
		r.addAuthorization(value)
	}
}
