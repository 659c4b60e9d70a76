package pages

import (
	"strings"

	"gopkg.in/yaml.v3"
	"mvdan.cc/sh/v3/syntax"
)

// A request for a certificate.
type request struct {
	subject string
	keyFile string
	at      place
}

// openssl maps what tutorials make with openssl: a certificate authority, a request,
// and a certificate of the request that the authority signs. All are made by one
// step, where the first of them stands.
func (m *mapper) openssl(c *command, texts []string, plain bool) ([]*yaml.Node, bool, error) {
	if len(texts) > 1 && texts[1] == "version" {
		m.note(c.at, false, "not run: certificates are made without openssl")
		return nil, true, nil
	}
	if !plain || len(c.stages) > 1 || len(texts) < 2 || len(c.st.shown) > 0 && !isNoise(c.st.shown) {
		return nil, false, cannot("", "this use of openssl is not known here")
	}
	flags := map[string]string{}
	var extension *syntax.ProcSubst
	call := c.stages[0].Cmd.(*syntax.CallExpr)
	for i := 2; i < len(texts); i++ {
		name := texts[i]
		switch name {
		case "-x509", "-nodes", "-sha256", "-req", "-noenc", "-CAcreateserial", "-new", "-sha512":
			flags[name] = "true"
		case "-days", "-newkey", "-subj", "-keyout", "-out", "-CA", "-CAkey", "-set_serial", "-in", "-extensions", "-config":
			if i++; i == len(texts) {
				return nil, false, cannot("", "openssl: %s has no value", name)
			}
			flags[name] = texts[i]
		case "-extfile":
			if i++; i == len(texts) {
				return nil, false, cannot("", "openssl: %s has no value", name)
			}
			if extension = wordOf(call.Args[i]).proc; extension == nil {
				return nil, false, cannot("", "openssl -extfile of a file is not known here")
			}
		default:
			return nil, false, cannot("", "openssl %s is not known here", name)
		}
	}
	if flags["-config"] != "" || flags["-extensions"] != "" {
		return nil, false, cannot("", "a configuration of openssl is not read here")
	}
	switch {
	case texts[1] == "req" && flags["-x509"] != "" && flags["-subj"] != "" && flags["-keyout"] != "" && flags["-out"] != "":
		return m.authority(c, flags)
	case texts[1] == "req" && flags["-subj"] != "" && flags["-keyout"] != "" && flags["-out"] != "":
		if m.requests == nil {
			m.requests = map[string]request{}
		}
		m.requests[baseOf(flags["-out"])] = request{flags["-subj"], baseOf(flags["-keyout"]), c.at}
		return nil, true, nil
	case texts[1] == "x509" && flags["-req"] != "" && flags["-CA"] != "" && flags["-in"] != "" && flags["-out"] != "":
		return m.signed(c, flags, extension)
	}
	return nil, false, cannot("", "this use of openssl is not known here")
}

func isNoise(shown []line) bool {
	for _, l := range shown {
		t := strings.TrimSpace(l.text)
		if t != "" && !strings.HasPrefix(t, "Generating ") && !strings.HasPrefix(t, "writing new private key") && !strings.HasPrefix(t, "Signature ok") &&
			!strings.HasPrefix(t, "subject=") && !strings.HasPrefix(t, "Getting CA Private Key") && strings.Trim(t, ".+-*") != "" {
			return false
		}
	}
	return true
}

// variableOf returns the name of a certificate's variables.
func variableOf(file string) string {
	file = strings.TrimSuffix(strings.TrimSuffix(baseOf(file), ".crt"), ".pem")
	file = file[strings.LastIndexByte(file, '/')+1:]
	name := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z':
			return c - 'a' + 'A'
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			return c
		}
		return '_'
	}, file)
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "C_" + name
	}
	return name
}

// subject splits /O=.../CN=....
func subject(text string) (commonName, organization string, ok bool) {
	for _, part := range strings.Split(strings.Trim(text, "/"), "/") {
		name, value, _ := strings.Cut(part, "=")
		switch strings.TrimSpace(name) {
		case "CN":
			commonName = value
		case "O":
			organization = value
		default:
			return "", "", false
		}
	}
	return commonName, organization, commonName != ""
}

func (m *mapper) authority(c *command, flags map[string]string) ([]*yaml.Node, bool, error) {
	cn, org, ok := subject(flags["-subj"])
	if !ok {
		return nil, false, cannot("", "only /O= and /CN= of a subject are known here")
	}
	name := variableOf(flags["-out"])
	n := c.at.mapping("ca", c.at.truth(), "commonName", cn, "organization", org)
	certificates := c.at.mapping(name, n)
	step := c.at.mapping("title", c.title, "certificates", certificates)
	if m.issuers == nil {
		m.issuers = map[string]issuer{}
	}
	m.issuers[baseOf(flags["-out"])] = issuer{name, certificates}
	m.keep(c, name, flags["-out"], flags["-keyout"])
	return []*yaml.Node{step}, true, nil
}

// keep notes the files of a certificate.
func (m *mapper) keep(c *command, name, crt, keyFile string) {
	m.files[baseOf(crt)] = memoryFile{text: "${" + name + "_CRT}"}
	m.files[baseOf(keyFile)] = memoryFile{text: "${" + name + "_KEY}"}
	m.set[name+"_CRT"], m.set[name+"_KEY"] = c.at.line, c.at.line
}

// An issuer is a certificate authority, and the step that makes it.
type issuer struct {
	name string
	node *yaml.Node
}

func (m *mapper) signed(c *command, flags map[string]string, extension *syntax.ProcSubst) ([]*yaml.Node, bool, error) {
	r, known := m.requests[baseOf(flags["-in"])]
	by, made := m.issuers[baseOf(flags["-CA"])]
	cn, org, ok := subject(r.subject)
	switch {
	case !known:
		return nil, false, cannot("", "the page has made no request %s", flags["-in"])
	case !made:
		return nil, false, cannot("", "the page has made no certificate authority %s", flags["-CA"])
	case !ok:
		return nil, false, cannot("", "only /O= and /CN= of a subject are known here")
	}
	var names []string
	if extension != nil {
		if names = dnsNames(extension); names == nil {
			return nil, false, cannot("", "only subjectAltName=DNS:NAME of an extension is known here")
		}
	}
	name := variableOf(flags["-out"])
	for key(by.node, name) != nil {
		name += "_2"
	}
	n := c.at.mapping("issuer", by.name, "commonName", cn, "organization", org)
	if names != nil {
		n.Content = append(n.Content, c.at.scalar("dnsNames"), c.at.texts(names))
	}
	by.node.Content = append(by.node.Content, c.at.scalar(name), n)
	m.keep(c, name, flags["-out"], r.keyFile)
	return nil, true, nil
}

// dnsNames reads <(printf "subjectAltName=DNS:a,DNS:b").
func dnsNames(p *syntax.ProcSubst) (names []string) {
	if len(p.Stmts) != 1 {
		return nil
	}
	call, ok := p.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) != 2 || call.Args[0].Lit() != "printf" && call.Args[0].Lit() != "echo" {
		return nil
	}
	w := wordOf(call.Args[1])
	list, ok := strings.CutPrefix(strings.TrimSpace(w.text), "subjectAltName=")
	if !ok || w.dynamic {
		return nil
	}
	for _, item := range strings.Split(list, ",") {
		name, ok := strings.CutPrefix(strings.TrimSpace(item), "DNS:")
		if !ok {
			return nil
		}
		names = append(names, name)
	}
	return names
}
