package expect

import (
	"regexp"
	"slices"
	"strings"
)

// header matches the head of a table of kubectl.
var header = regexp.MustCompile(`^(?:NAME|NAMESPACE|LAST SEEN|RESOURCE NAME)(?:\s{2,}[A-Z][A-Z0-9()/_ -]*)*\s*$`)

// columnsThatVary tell nothing that a tutorial could mean.
var columnsThatVary = []string{"AGE", "RESTARTS", "CLUSTER-IP", "EXTERNAL-IP", "IP", "NODE", "NOMINATED NODE", "READINESS GATES", "LAST SEEN", "DURATION", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE"}

var betweenColumns = regexp.MustCompile(`\s{2,}|\t+`)

// A serviceIP is a Service and its address. A column of addresses is not compared, for an
// address may be missing or of another kind, but those that are there are bound.
type serviceIP struct{ service, address string }

var ipv4 = regexp.MustCompile(`^\d{1,3}(?:\.\d{1,3}){3}$`)

// tables writes the rows of a table that both sides have by their columns, without
// those that vary and those that the tutorial does not show.
func (c *comparison) tables() {
	p := slices.IndexFunc(c.page, func(l shownLine) bool { return header.MatchString(l.text) })
	r := slices.IndexFunc(c.real, func(l string) bool { return header.MatchString(l) })
	if p < 0 || r < 0 {
		return
	}
	c.pageIP, c.realIP = map[int]serviceIP{}, map[int]serviceIP{}
	pageHead, realHead := c.page[p].text, c.real[r]
	shown := betweenColumns.Split(strings.TrimSpace(c.page[p].text), -1)
	real := betweenColumns.Split(strings.TrimSpace(c.real[r]), -1)
	kept := slices.DeleteFunc(slices.Clone(shown), func(name string) bool { return slices.Contains(columnsThatVary, name) })
	row := func(line, head string, names []string, ips map[int]serviceIP, at int) string {
		cells := cellsOf(line, head, names)
		if cells == nil {
			return line
		}
		var out []string
		for i, cell := range cells {
			if names[i] == "CLUSTER-IP" && ipv4.MatchString(cell) {
				ips[at] = serviceIP{strings.TrimPrefix(cells[max(0, slices.Index(names, "NAME"))], "service/"), cell}
			}
			if slices.Contains(kept, names[i]) {
				out = append(out, names[i]+" "+cell)
			}
		}
		return strings.Join(out, " ")
	}
	for i := p; i < len(c.page); i++ {
		if !isEllipsis(c.page[i].text) {
			c.page[i].text = row(c.page[i].text, pageHead, shown, c.pageIP, i)
		}
	}
	for i := r; i < len(c.real); i++ {
		c.real[i] = row(c.real[i], realHead, real, c.realIP, i)
	}
}

// cellsOf returns a row's cells: what stands below each name of the head, where they
// are aligned, for a cell may be empty; else what lies between wide gaps. nil is for a
// line that is no row.
func cellsOf(line, head string, names []string) []string {
	if !strings.Contains(line+head, "\t") {
		cells, at := make([]string, len(names)), 0
		aligned := true
		starts := make([]int, len(names)+1)
		for i, name := range names {
			at += strings.Index(head[at:], name)
			starts[i] = at
			at += len(name)
		}
		starts[len(names)] = len(line)
		for i := range names {
			from, to := min(starts[i], len(line)), min(starts[i+1], len(line))
			cells[i] = strings.TrimSpace(line[from:to])
			aligned = aligned && (from == 0 || from == len(line) || line[from-1] == ' ') && !betweenColumns.MatchString(cells[i])
		}
		if aligned && cells[0] != "" {
			return cells
		}
	}
	cells := betweenColumns.Split(strings.TrimSpace(line), -1)
	if len(cells) < len(names)-1 || len(cells) > len(names) {
		return nil
	}
	return cells
}

// certificateRow matches a row of istioctl proxy-config secret.
var certificateRow = regexp.MustCompile(`^(.*\s(?:ACTIVE|WARMING)\s+(?:true|false)\s+)[0-9a-fA-F]{1,40}(\s+\d{4}-\d\d-\d\dT\S+\s+\d{4}-\d\d-\d\dT\S+\s*)$`)

// serials writes one word for the serial numbers of certificates in rows without the
// head of their table, which tell nothing that a tutorial could mean.
func (c *comparison) serials() {
	for i := range c.page {
		c.page[i].text = certificateRow.ReplaceAllString(c.page[i].text, "${1}SERIAL${2}")
	}
	for i := range c.real {
		c.real[i] = certificateRow.ReplaceAllString(c.real[i], "${1}SERIAL${2}")
	}
}

// endpointRow matches a row of istioctl proxy-config endpoint.
var endpointRow = regexp.MustCompile(`^\S+\s+(?:HEALTHY|UNHEALTHY|DRAINING|TIMEOUT|DEGRADED|UNKNOWN)\s+(?:OK|FAILED)\s+(\S+)\s*$`)

// endpoints sorts the rows of endpoints by their clusters on both sides: istioctl sorts
// them by their addresses, which are others in each run. Rows beside other lines, such as
// an ellipsis, stay where they are.
func (c *comparison) endpoints() {
	from := func(first string) int {
		if strings.HasPrefix(first, "ENDPOINT ") {
			return 1
		}
		return 0
	}
	if len(c.page) == 0 || len(c.real) == 0 {
		return
	}
	page, real := c.page[from(c.page[0].text):], c.real[from(c.real[0]):]
	other := func(line string) bool { return !endpointRow.MatchString(line) }
	if slices.ContainsFunc(real, other) || slices.ContainsFunc(page, func(l shownLine) bool { return other(l.text) }) {
		return
	}
	key := func(line string) string {
		address, rest, _ := strings.Cut(line, " ")
		return endpointRow.FindStringSubmatch(line)[1] + " " + address[strings.LastIndexByte(address, ':')+1:] + rest
	}
	slices.SortStableFunc(page, func(a, b shownLine) int { return strings.Compare(key(a.text), key(b.text)) })
	slices.SortStableFunc(real, func(a, b string) int { return strings.Compare(key(a), key(b)) })
}
