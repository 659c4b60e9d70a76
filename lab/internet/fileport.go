package internet

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// The words of a file for a port.
const (
	closed   = "closed"
	asHTTP   = "http"
	asHTTPS  = "https"
	echoes   = "echo"
	isSilent = "silent"
	resets   = "reset"
)

// ports reads the ports of a host. The host's own answer is that of 80 and 443, unless
// the file lists only other ports and gives no answer for the host.
func (p *parser) ports(node *yaml.Node, fields map[string]*yaml.Node) map[uint16]Port {
	answer := p.answer(fields)
	http, https := &answer, &answer
	if of := fields["http"]; of != nil {
		http = p.webPort(of)
	}
	if of := fields["https"]; of != nil {
		https = p.webPort(of)
	}
	https = secured(https)
	ports := map[uint16]Port{}
	for number, port := range map[uint16]*Port{portHTTP: http, portHTTPS: https} {
		if port != nil {
			ports[number] = *port
		}
	}
	if of := fields["ports"]; of != nil {
		if !slices.ContainsFunc(append(slices.Clone(answerKeys), "http", "https"), func(key string) bool { return fields[key] != nil }) {
			clear(ports)
		}
		for key, value := range p.pairs(of, "ports to what they say") {
			number := p.portNumber(key)
			for stated, said := range map[uint16]string{portHTTP: "http", portHTTPS: "https"} {
				if number == stated && fields[said] != nil {
					p.fail(key, "port %d is what %s says", number, said)
				}
			}
			delete(ports, number)
			if port := p.port(value, http, https); port != nil {
				ports[number] = *port
			}
		}
	}
	if len(ports) == 0 && len(p.errs) == 0 {
		p.fail(node, "all ports of the host are closed")
	}
	return ports
}

// webPort reads what port 80 or 443 answers; nil if it is closed.
func (p *parser) webPort(node *yaml.Node) *Port {
	if node.Kind == yaml.ScalarNode {
		if node.Value != closed {
			p.fail(node, "%q: want %s, or a mapping", node.Value, closed)
		}
		return nil
	}
	port := p.answer(p.mapping(node, answerKeys...))
	return &port
}

// secured returns a port that does the same as another over TLS.
func secured(port *Port) *Port {
	if port == nil {
		return nil
	}
	by := *port
	by.TLS = true
	return &by
}

func (p *parser) portNumber(key *yaml.Node) uint16 {
	n, err := strconv.ParseUint(key.Value, 10, 16)
	if err != nil || n == 0 {
		p.fail(key, "%q: want the number of a port, from 1 to 65535", key.Value)
	}
	return uint16(n)
}

// port reads any port; nil if it is closed. http and https are the host's ports 80 and
// 443.
func (p *parser) port(node *yaml.Node, http, https *Port) *Port {
	if node.Kind == yaml.ScalarNode {
		return p.portInAWord(node, http, https)
	}
	words := []string{"tls", "banner", echoes, isSilent}
	fields := p.mapping(node, slices.Concat(words, answerKeys)...)
	stated := ""
	for _, key := range words[1:] {
		of := fields[key]
		if of == nil {
			continue
		}
		if stated != "" {
			p.fail(of, "%s and %s of one port: want one of them", stated, key)
		}
		stated = key
	}
	for key, of := range fields {
		if stated != "" && slices.Contains(answerKeys, key) {
			p.fail(of, "%s of a port with %s: that one does not speak HTTP", key, stated)
		}
	}
	port := new(Port)
	switch stated {
	case "":
		*port = p.answer(fields)
	case "banner":
		port.TCP.Banner = p.text(fields[stated])
	default:
		if !p.yes(fields[stated]) {
			p.fail(fields[stated], "%s: want true", stated)
		}
		port.TCP.Echo = stated == echoes
	}
	if p.yes(fields["tls"]) {
		return secured(port)
	}
	return port
}

func (p *parser) portInAWord(node *yaml.Node, http, https *Port) *Port {
	ports := map[string]*Port{
		closed:   nil,
		echoes:   {TCP: TCP{Echo: true}},
		isSilent: {},
		resets:   {TCP: TCP{Reset: true}},
		asHTTP:   http,
		asHTTPS:  https,
	}
	port, known := ports[node.Value]
	switch {
	case !known:
		p.fail(node, "%q: want %s, or a mapping", node.Value, strings.Join(slices.Sorted(maps.Keys(ports)), ", "))
	case port == nil && node.Value != closed:
		p.fail(node, "%s of the host is closed", node.Value)
	}
	return port
}
