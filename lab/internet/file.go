package internet

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/egressplay/egressplay/lab/network"
)

// What a file of hosts begins with.
const (
	fileVersion = "egressplay/v1"
	fileKind    = "Internet"
)

// firstOwn and lastOwn bound the addresses for hosts of a file that name none.
var (
	firstOwn = netip.MustParseAddr("203.0.113.100")
	lastOwn  = netip.MustParseAddr("203.0.113.254")
)

// Load is [Parse] of a file.
func Load(path string) ([]Host, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse reads hosts of a user's own, in YAML as docs/lab.md describes it, and
// returns them after the default ones. Its error has a line for each mistake,
// with its place: FILE:LINE:COLUMN.
func Parse(file string, data []byte) ([]Host, error) {
	p := &parser{file: file}
	hosts := p.document(data)
	if len(p.errs) > 0 {
		return nil, errors.Join(p.errs...)
	}
	return hosts, nil
}

// parser reads a file and collects what is wrong with it.
type parser struct {
	file string
	errs []error
}

func (p *parser) fail(node *yaml.Node, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s:%d:%d: %w", p.file, node.Line, node.Column, fmt.Errorf(format, args...)))
}

func (p *parser) document(data []byte) []Host {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var root, more yaml.Node
	if err := decoder.Decode(&root); errors.Is(err, io.EOF) {
		p.errs = append(p.errs, fmt.Errorf("%s: the file is empty", p.file))
		return nil
	} else if err != nil {
		p.errs = append(p.errs, fmt.Errorf("%s: %w", p.file, err))
		return nil
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		p.fail(&more, "a second document: want one")
	}
	top := root.Content[0]
	fields := p.mapping(top, "apiVersion", "kind", "hosts")
	for key, want := range map[string]string{"apiVersion": fileVersion, "kind": fileKind} {
		if node := fields[key]; node == nil {
			p.fail(top, "no %s: want %s: %s", key, key, want)
		} else if got := p.text(node); got != want {
			p.fail(node, "%s %q: want %s", key, got, want)
		}
	}
	if fields["hosts"] == nil {
		p.fail(top, "no hosts")
	}
	hosts := DefaultHosts()
	for _, node := range p.list(fields["hosts"]) {
		before := len(p.errs)
		host := p.host(node, hosts)
		if len(p.errs) > before {
			continue
		}
		if _, err := index(append(slices.Clone(hosts), host)); err != nil {
			p.fail(node, "%w", err)
			continue
		}
		hosts = append(hosts, host)
	}
	return hosts
}

// host reads one host, which gets a free address if it names none.
func (p *parser) host(node *yaml.Node, others []Host) (host Host) {
	ofPorts := append(slices.Clone(answerKeys), "http", "https", "ports")
	fields := p.mapping(node, slices.Concat([]string{"names", "address", "anyName", "certificate", "clientCertificate", "reset"}, ofPorts)...)
	if fields["names"] == nil {
		p.fail(node, "a host without names")
	}
	for _, name := range p.list(fields["names"]) {
		host.Names = append(host.Names, p.text(name))
	}
	if addr := p.address(fields["address"], others); addr.IsValid() {
		host.Addrs = []netip.Addr{addr}
	}
	host.AnyName = p.yes(fields["anyName"])
	host.Certificate = oneOf(p, fields["certificate"], map[string]Certificate{
		"valid": Valid, string(Expired): Expired, string(WrongName): WrongName, string(Untrusted): Untrusted,
	})
	host.ClientAuth = oneOf(p, fields["clientCertificate"], map[string]tls.ClientAuthType{
		"requested": tls.RequestClientCert, "required": tls.RequireAnyClientCert,
	})
	if !p.yes(fields["reset"]) {
		host.Ports = p.ports(node, fields)
		return host
	}
	host.Ports = resetting()
	for key, of := range fields {
		if slices.Contains(append(ofPorts, "certificate", "clientCertificate", "anyName"), key) {
			p.fail(of, "%s of a host that resets: it answers nothing", key)
		}
	}
	return host
}

// address reads an address, or finds one that is free.
func (p *parser) address(node *yaml.Node, others []Host) netip.Addr {
	if node == nil {
		taken := Addresses(others)
		for addr := firstOwn; addr.Compare(lastOwn) <= 0; addr = addr.Next() {
			if !slices.Contains(taken, addr) {
				return addr
			}
		}
		return netip.Addr{} // which index refuses
	}
	addr, err := netip.ParseAddr(p.text(node))
	if err != nil || !addr.Is4() {
		p.fail(node, "address %q: want one such as %s", node.Value, firstOwn)
		return addr
	}
	links := netip.PrefixFrom(netip.MustParsePrefix(network.InternetCIDR).Addr(), 30)
	for _, own := range []netip.Prefix{netip.MustParsePrefix(network.PodCIDR), netip.MustParsePrefix(network.ServiceCIDR), links} {
		if own.Contains(addr) {
			p.fail(node, "address %s: the lab itself has %s", addr, own)
		}
	}
	if !addr.IsGlobalUnicast() {
		p.fail(node, "address %s: a host cannot have it; %s to %s are free for all", addr, firstOwn, lastOwn)
	}
	return addr
}

// mapping returns the values of a mapping by their keys. If any are known, there
// must be no others.
func (p *parser) mapping(node *yaml.Node, known ...string) map[string]*yaml.Node {
	if of := resolve(node); of.Kind != yaml.MappingNode && len(known) > 0 {
		p.fail(of, "want a mapping with the keys %s", strings.Join(known, ", "))
		return nil
	}
	fields := map[string]*yaml.Node{}
	for key, value := range p.pairs(node, "names to values") {
		if len(known) > 0 && !slices.Contains(known, key.Value) {
			p.fail(key, "unknown key %q: want one of %s", key.Value, strings.Join(known, ", "))
			continue
		}
		fields[key.Value] = value
	}
	return fields
}

// pairs goes through the keys and values of a mapping of something, but for keys
// that were there before.
func (p *parser) pairs(node *yaml.Node, something string) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		node := resolve(node)
		if node.Kind != yaml.MappingNode {
			p.fail(node, "want a mapping of %s", something)
			return
		}
		seen := map[string]bool{}
		for i := 0; i < len(node.Content); i += 2 {
			key := node.Content[i]
			if seen[key.Value] {
				p.fail(key, "a second %s", key.Value)
				continue
			}
			seen[key.Value] = true
			if !yield(key, resolve(node.Content[i+1])) {
				return
			}
		}
	}
}

// list returns the elements of a list that is not empty; of nil, none.
func (p *parser) list(node *yaml.Node) []*yaml.Node {
	if node == nil {
		return nil
	}
	if node.Kind != yaml.SequenceNode || len(node.Content) == 0 {
		p.fail(node, "want a list that is not empty")
		return nil
	}
	return node.Content
}

// text reads a scalar as it is written.
func (p *parser) text(node *yaml.Node) string {
	node = resolve(node)
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
		p.fail(node, "want a text")
		return ""
	}
	return node.Value
}

// yes reads true or false; nil is false.
func (p *parser) yes(node *yaml.Node) (value bool) {
	if node != nil && node.Decode(&value) != nil {
		p.fail(node, "%q: want true or false", node.Value)
	}
	return value
}

func (p *parser) number(node *yaml.Node, least, most int) int {
	n, err := strconv.Atoi(p.text(node))
	if err != nil || n < least || n > most {
		p.fail(node, "%q: want a number from %d to %d", node.Value, least, most)
	}
	return n
}

func (p *parser) duration(node *yaml.Node) time.Duration {
	d, err := time.ParseDuration(p.text(node))
	if err != nil || d < 0 || d > longestDelay {
		p.fail(node, "%q: want a time such as 300ms or 2s, up to %v", node.Value, longestDelay)
	}
	return d
}

// oneOf reads one of a few words; nil is the zero value.
func oneOf[T any](p *parser, node *yaml.Node, words map[string]T) (value T) {
	if node == nil {
		return value
	}
	value, known := words[p.text(node)]
	if !known {
		p.fail(node, "%q: want one of %s", node.Value, strings.Join(slices.Sorted(maps.Keys(words)), ", "))
	}
	return value
}

// resolve follows an alias to its anchor.
func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}
