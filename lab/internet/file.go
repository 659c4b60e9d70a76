package internet

import (
	"bytes"
	"cmp"
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

// The beginning of a file of hosts.
const (
	fileVersion  = "egressplay/v1"
	fileKind     = "Internet"
	playbookKind = "Playbook" // its own hosts are under internet
)

// firstOwn and lastOwn bound the addresses of hosts that name none.
var (
	firstOwn = netip.MustParseAddr("203.0.113.100")
	lastOwn  = netip.MustParseAddr("203.0.113.254")
)

// Load reads a file and calls [Parse].
func Load(path string) ([]Host, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse reads a user's own hosts, in YAML as docs/lab.md describes it, and returns them
// after the default ones. It also accepts a playbook, and reads the hosts under its key
// internet. Its error is [Mistakes].
func Parse(file string, data []byte) ([]Host, error) {
	hosts := DefaultHosts()
	own, err := parse(file, data, pointers(hosts))
	if err != nil {
		return nil, err
	}
	for _, host := range own {
		hosts = append(hosts, *host)
	}
	return hosts, nil
}

// parse reads hosts that are to exist beside others, and returns only the new ones.
func parse(file string, data []byte, others []*Host) ([]*Host, error) {
	p := &parser{file: file}
	own := p.document(data, others)
	if len(p.errs) > 0 {
		slices.SortStableFunc(p.errs, func(a, b Mistake) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return nil, p.errs
	}
	return own, nil
}

// Mistake is one mistake in a file of hosts.
type Mistake struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"` // from 1; 0 if the mistake is about the whole file
	Column int    `json:"column,omitempty"`
	Text   string `json:"text"`
}

func (m Mistake) String() string {
	place := m.File
	if m.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", m.File, m.Line, m.Column)
	}
	return Plain(place + ": " + m.Text)
}

// Mistakes are all mistakes of a file, in the order of its lines.
type Mistakes []Mistake

// Error returns a line for each mistake, with its place: FILE:LINE:COLUMN.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// parser reads a file and collects its mistakes.
type parser struct {
	file string
	errs Mistakes
}

func (p *parser) fail(node *yaml.Node, format string, args ...any) {
	p.errs = append(p.errs, Mistake{p.file, node.Line, node.Column, fmt.Sprintf(format, args...)})
}

func (p *parser) document(data []byte, others []*Host) []*Host {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var root, more yaml.Node
	if err := decoder.Decode(&root); errors.Is(err, io.EOF) {
		p.errs = append(p.errs, Mistake{File: p.file, Text: "the file is empty"})
		return nil
	} else if err != nil {
		p.errs = append(p.errs, Mistake{File: p.file, Text: err.Error()})
		return nil
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		p.fail(&more, "a second document: want one")
	}
	top := root.Content[0]
	if kind := valueOf(top, "kind"); kind != nil && kind.Value == playbookKind {
		return p.hosts(valueOf(top, "internet"), others)
	}
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
	return p.hosts(fields["hosts"], others)
}

// valueOf returns the value of a key, nil if there is none.
func valueOf(node *yaml.Node, key string) *yaml.Node {
	for i := 0; node.Kind == yaml.MappingNode && i < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return resolve(node.Content[i+1])
		}
	}
	return nil
}

// hosts reads a list of hosts.
func (p *parser) hosts(list *yaml.Node, others []*Host) []*Host {
	hosts := slices.Clone(others)
	var aliases []*yaml.Node
	for _, node := range p.list(list) {
		before := len(p.errs)
		host := p.host(node, hosts)
		if len(p.errs) > before {
			continue
		}
		if _, err := index(append(slices.Clone(hosts), host)); err != nil {
			p.fail(node, "%v", err)
			continue
		}
		hosts = append(hosts, host)
		if host.Alias != "" {
			aliases = append(aliases, node)
		}
	}
	if len(p.errs) == 0 {
		p.checkAliases(hosts, aliases)
	}
	return hosts[len(others):]
}

// checkAliases checks that each alias leads to a host.
func (p *parser) checkAliases(hosts []*Host, aliases []*yaml.Node) {
	byName, err := index(hosts)
	if err != nil {
		return // reported already
	}
	for _, node := range aliases {
		of := p.mapping(node)["cname"]
		if byName.serving(of.Value) == nil {
			p.fail(of, "cname %s: no host has this name, nor does an alias of it lead to one", of.Value)
		}
	}
}

// hostKeys are the keys of a host, besides [answerKeys].
var hostKeys = []string{"names", "address", "addresses", "cname", "anyName", "certificate", "clientCertificate", "http", "https", "ports"}

// host reads one host, which gets a free address if it names none.
func (p *parser) host(node *yaml.Node, others []*Host) *Host {
	host := new(Host)
	fields := p.mapping(node, slices.Concat(hostKeys, answerKeys)...)
	if fields["names"] == nil {
		p.fail(node, "a host without names")
	}
	for _, name := range p.list(fields["names"]) {
		host.Names = append(host.Names, p.text(name))
	}
	if of := fields["cname"]; of != nil {
		host.Alias = p.alias(of, fields)
		return host
	}
	host.Addrs = p.addresses(node, fields, others)
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
		if !slices.Contains([]string{"names", "address", "addresses", "reset"}, key) {
			p.fail(of, "%s of a host that resets: it answers nothing", key)
		}
	}
	return host
}

// alias reads the name of which the host's names are aliases.
func (p *parser) alias(node *yaml.Node, fields map[string]*yaml.Node) string {
	for key, of := range fields {
		if key != "names" && key != "cname" {
			p.fail(of, "%s of an alias: the host that it leads to has it", key)
		}
	}
	name := p.text(node)
	if !nameRule.MatchString(name) || isWildcard(name) {
		p.fail(node, "cname %q: want the name of a host, such as www.example.net, in lower case", name)
	}
	return name
}

// mostAddresses is how many addresses a host may have.
const mostAddresses = 16

// addresses reads the addresses of a host, or finds some that are free.
func (p *parser) addresses(host *yaml.Node, fields map[string]*yaml.Node, others []*Host) []netip.Addr {
	one, many := fields["address"], fields["addresses"]
	switch {
	case one != nil && many != nil:
		p.fail(one, "address and addresses of one host: want one of them")
		return nil
	case one != nil:
		return []netip.Addr{p.address(one)}
	case many == nil:
		return p.free(host, 1, others)
	case many.Kind == yaml.ScalarNode:
		return p.free(many, p.number(many, 1, mostAddresses), others)
	}
	nodes := p.list(many)
	if len(nodes) > mostAddresses {
		p.fail(many, "%d addresses: a host has at most %d", len(nodes), mostAddresses)
	}
	var addrs []netip.Addr
	for _, node := range nodes {
		addr := p.address(node)
		if slices.Contains(addrs, addr) {
			p.fail(node, "a second %s", addr)
		}
		addrs = append(addrs, addr)
	}
	return addrs
}

// free returns n addresses that no host has yet.
func (p *parser) free(node *yaml.Node, n int, others []*Host) (addrs []netip.Addr) {
	taken := addresses(others)
	for addr := firstOwn; addr.Compare(lastOwn) <= 0 && len(addrs) < n; addr = addr.Next() {
		if !slices.Contains(taken, addr) {
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) < n {
		p.fail(node, "not enough addresses are left of %s to %s", firstOwn, lastOwn)
	}
	return addrs
}

// address reads an address that a host can have.
func (p *parser) address(node *yaml.Node) netip.Addr {
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

// pairs iterates over the keys and values of a mapping, without repeated keys, which it
// reports. something names the keys and values for messages.
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

// list returns the elements of a list, which must not be empty; nil for nil.
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

// text returns a scalar as it is written.
func (p *parser) text(node *yaml.Node) string {
	node = resolve(node)
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
		p.fail(node, "want a text")
		return ""
	}
	return node.Value
}

// yes returns the boolean of a node, false for nil.
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

// oneOf returns the value of one of the words, the zero value for nil.
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
