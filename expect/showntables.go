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

// columnsThatVaryBeside are those that tell nothing in the tables that have another
// column: the address of a Gateway or an Ingress is the cluster's to give, that of a
// WorkloadEntry its author's.
var columnsThatVaryBeside = map[string][]string{
	"ADDRESS": {"PROGRAMMED", "CLASS"},
	"TARGETS": {"MINPODS"},
}

var betweenColumns = regexp.MustCompile(`\s{2,}|\t+`)

// A serviceIP is a Service and its address. A column of addresses is not compared, for an
// address may be missing or of another kind, but those that are there are bound.
type serviceIP struct{ service, address string }

var ipv4 = regexp.MustCompile(`^\d{1,3}(?:\.\d{1,3}){3}$`)

// A tableHead is the head of a table, and those of its columns that are compared.
type tableHead struct {
	line  string
	names []string
	kept  []string
}

func headOf(line string) *tableHead {
	names := betweenColumns.Split(strings.TrimSpace(line), -1)
	kept := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.Contains(columnsThatVary, name) ||
			slices.ContainsFunc(columnsThatVaryBeside[name], func(other string) bool { return slices.Contains(names, other) })
	})
	return &tableHead{line, names, kept}
}

// row writes a row by its columns, and puts the address of a Service in it at this place
// of addresses.
func (h *tableHead) row(line string, addresses map[int]serviceIP, at int) string {
	if strings.TrimSpace(line) == "" {
		return line
	}
	cells := cellsOf(line, h.line, h.names)
	if cells == nil {
		return line
	}
	var out []string
	for i, cell := range cells {
		if h.names[i] == "CLUSTER-IP" && ipv4.MatchString(cell) {
			addresses[at] = serviceIP{strings.TrimPrefix(cells[max(0, slices.Index(h.names, "NAME"))], "service/"), cell}
		}
		switch {
		case !slices.Contains(h.kept, h.names[i]):
		case line == h.line:
			out = append(out, cell)
		default:
			out = append(out, h.names[i]+" "+cell)
		}
	}
	return strings.Join(out, " ")
}

// tables writes the rows of tables that both sides have by their columns, without
// those that vary and those that the tutorial does not show.
func (c *comparison) tables() {
	var page []*tableHead
	for _, l := range c.page {
		if header.MatchString(l.text) {
			page = append(page, headOf(l.text))
		}
	}
	if len(page) == 0 || !slices.ContainsFunc(c.real, header.MatchString) {
		return
	}
	c.pageIP, c.realIP = map[int]serviceIP{}, map[int]serviceIP{}
	var head *tableHead
	n := 0
	for i, l := range c.page {
		if header.MatchString(l.text) {
			head = page[n]
			n++
		}
		if head != nil && !isEllipsis(l.text) {
			c.page[i].text = head.row(l.text, c.pageIP, i)
		}
	}
	head = nil
	for i, l := range c.real {
		if header.MatchString(l) {
			head = headOf(l)
			head.kept = keptOf(page, head)
		}
		if head != nil {
			c.real[i] = head.row(l, c.realIP, i)
		}
	}
}

// keptOf returns the columns of a table that its tutorial shows: of that of its tables
// which has the same columns, or none that this one lacks, else of the first.
func keptOf(page []*tableHead, real *tableHead) []string {
	for _, h := range page {
		if slices.Equal(h.names, real.names) {
			return h.kept
		}
	}
	for _, h := range page {
		if !slices.ContainsFunc(h.kept, func(name string) bool { return !slices.Contains(real.names, name) }) {
			return h.kept
		}
	}
	return page[0].kept
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
