package expect

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// A comparison is one of what a tutorial shows with what came.
type comparison struct {
	page  []shownLine // "..." for any lines
	real  []string
	log   bool     // what came is a log, which may have other lines, too
	soft  []string // in what they differ although they need not
	bound *bindings
	// filled are lines that came and notOurs lines of the page, by their index, that the
	// other side need not have.
	filled  []bool
	notOurs map[int]bool
	// The addresses of Services in rows of a table, by the index of the line.
	pageIP, realIP map[int]serviceIP
}

// textOf returns the text of lines.
func textOf(lines []shownLine) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.text + "\n")
	}
	return b.String()
}

// A difference is where what came is not what is shown.
type difference struct {
	line           *shownLine // nil behind the last one
	want, got, why string
	came           string // the line that came, "" for none
	// response is which response a status line is of, from 0; status and gotStatus are
	// the one that is shown and the one that came, "" for another kind of line.
	response          int
	status, gotStatus string
	// field is that of an entry of the log in which the nearest one differs.
	field, shown, was string
}

func (d *difference) Error() string { return "shown " + d.want + ", was " + d.got }

// meter matches the lines of curl's progress meter, and what kubectl and ssh say of
// themselves.
var meter = regexp.MustCompile(`^\s*% Total\s|^\s*Dload\s+Upload|^\s*\d+\s+[\d.]+[kMG]?\s+\d+\s.*(--:--:--|\d+:\d\d:\d\d)|^Defaulted container |^Unable to use a TTY`)

func newComparison(page []shownLine, shell *evidence.Shell) *comparison {
	c := &comparison{bound: newBindings(textOf(page), shell)}
	showsCurl, exits := false, []string(nil)
	for _, line := range page {
		if code, ok := ShownExitCode(line.text); ok {
			exits = append(exits, code)
			continue
		}
		showsCurl = showsCurl || strings.HasPrefix(line.text, "curl: (")
		if !meter.MatchString(line.text) { // which differs from run to run
			c.page = append(c.page, line)
		}
	}
	for _, line := range strings.Split(shell.Text, "\n") {
		// A progress meter overwrites its own line.
		for part := range strings.SplitSeq(line, "\r") {
			part = strings.TrimRight(part, " \t")
			switch {
			case part == "", meter.MatchString(part), terminated.MatchString(part):
			case usage.MatchString(part) && c.showsTimes():
				c.real = append(c.real, timesOf(usage.FindStringSubmatch(part))...)
			case faults.MatchString(part) && c.showsTimes():
			case !showsCurl && slices.Contains(exits, curlCode(part)): // says again what the exit code does
			default:
				c.real = append(c.real, part)
			}
		}
	}
	c.outdent()
	for _, s := range shell.Stages {
		if s.Inner || s.Behind {
			continue
		}
		if c.log = s.Log; !c.log {
			break
		}
	}
	c.log = c.log || slices.ContainsFunc(c.page, func(l shownLine) bool { return isLogLine(l.text) }) &&
		!slices.ContainsFunc(c.page, func(l shownLine) bool { return !isEllipsis(l.text) && !isLogLine(l.text) })
	c.tables()
	c.serials()
	c.endpoints()
	c.filled, c.notOurs = filled(c.page, c.real), notOurs(c.page)
	return c
}

var ofCurl = regexp.MustCompile(`^curl: \((\d+)\)`)

// curlCode returns the number of a line in which curl says why it failed; "" for
// another line.
func curlCode(line string) string {
	if m := ofCurl.FindStringSubmatch(line); m != nil {
		return m[1]
	}
	return ""
}

// outdent removes the indentation that all lines have, on each side.
func (c *comparison) outdent() {
	page := make([]string, len(c.page))
	for i := range c.page {
		page[i] = c.page[i].text
	}
	cut := indentation(page)
	for i := range c.page {
		if t := c.page[i].text; !isEllipsis(t) {
			c.page[i].text = t[cut:]
		}
	}
	cut = indentation(c.real)
	for i := range c.real {
		c.real[i] = c.real[i][cut:]
	}
}

func indentation(lines []string) int {
	least := math.MaxInt
	for _, line := range lines {
		if !isEllipsis(line) {
			least = min(least, len(line)-len(strings.TrimLeft(line, " \t")))
		}
	}
	if least == math.MaxInt {
		return 0
	}
	return least
}

func isEllipsis(line string) bool {
	switch strings.TrimSpace(line) {
	case "...", "…", "[...]", "....", "<...>", "(...)":
		return true
	}
	return false
}

// isFact reports whether an ellipsis can never stand for a line: a status line, an
// exit code, an error of curl or kubectl.
func isFact(line string) bool {
	return statusLine.MatchString(line) || terminated.MatchString(line) || strings.HasPrefix(line, "curl: (") ||
		strings.HasPrefix(line, "Error from server") || strings.HasPrefix(line, "error:") || bareCode.MatchString(line)
}

var (
	statusLine = regexp.MustCompile(`^(?:[<>] )?(HTTP/[0-9.]+) ([0-9]{3})\b`)
	bareCode   = regexp.MustCompile(`^[1-5][0-9]{2}$`)
)

// A cell is the best way to match what is left of both sides.
type cell struct {
	possible bool
	soft     int  // lines that differ although they need not
	skip     bool // the next line of what came is left out
	gone     bool // the next line of the page is, see mayBeGone
}

// run finds the way in which the shown lines stand, in order, in those that came,
// with the fewest soft differences. An error is a [difference].
func (c *comparison) run() error {
	n, m := len(c.page), len(c.real)
	cells := make([][]cell, n+1)
	for i := range cells {
		cells[i] = make([]cell, m+1)
	}
	for i := n; i >= 0; i-- {
		for j := m; j >= 0; j-- {
			cells[i][j] = c.best(cells, i, j)
		}
	}
	if !cells[0][0].possible {
		return c.explain()
	}
	for i, j := 0, 0; i < n || j < m; {
		switch at := cells[i][j]; {
		case i < n && isEllipsis(c.page[i].text) && !at.skip:
			i++
		case at.gone:
			c.soft = append(c.soft, c.whyGone(i)+" "+cutLine(strings.TrimSpace(c.page[i].text)))
			i++
		case at.skip:
			if !c.log && !(i < n && isEllipsis(c.page[i].text)) && !c.inEllipsis(i) {
				c.soft = append(c.soft, "it lacks "+cutLine(c.real[j]))
			}
			j++
		default:
			ok, soft := lineMatches(c.page[i].text, c.real[j], c.bound)
			if p, r := c.pageIP[i], c.realIP[j]; ok && p.address != "" && r.address != "" {
				ok = c.bound.bindOf("address", p.address, r.address, p.service)
			}
			if !ok {
				return &difference{
					line: &c.page[i], want: scalar(c.page[i].text), got: scalar(c.real[j]),
					why: firstOf(c.bound.conflict, "what is equal in the tutorial must be equal here, and what differs must differ"),
				}
			}
			if soft != "" {
				c.soft = append(c.soft, soft)
			}
			i++
			j++
		}
	}
	c.soft = append(c.soft, c.bound.soft...)
	return nil
}

// inEllipsis reports whether the line before page[i] is an ellipsis.
func (c *comparison) inEllipsis(i int) bool { return i > 0 && isEllipsis(c.page[i-1].text) }

func (c *comparison) best(cells [][]cell, i, j int) cell {
	n, m := len(c.page), len(c.real)
	if i == n && j == m {
		return cell{possible: true}
	}
	var best cell
	consider := func(next cell, soft int, skip bool) {
		if next.possible && (!best.possible || next.soft+soft < best.soft) {
			best = cell{possible: true, soft: next.soft + soft, skip: skip}
		}
	}
	if i < n && c.mayBeGone(i) {
		if consider(cells[i+1][j], 1, false); best.possible {
			best.gone = true
		}
	}
	ellipsis := i < n && isEllipsis(c.page[i].text)
	switch {
	case ellipsis:
		consider(cells[i+1][j], 0, false)
	case i < n && j < m:
		if ok, soft := lineMatches(c.page[i].text, c.real[j], nil); ok {
			cost := 0
			if soft != "" {
				cost = 1
			}
			consider(cells[i+1][j+1], cost, false)
		}
	}
	if j < m {
		switch {
		case c.log:
			consider(cells[i][j+1], 0, true)
		case isFact(c.real[j]):
		case ellipsis:
			consider(cells[i][j+1], 0, true)
		case c.mayLack(j):
			consider(cells[i][j+1], 1, true)
		}
	}
	return best
}

// mayLack reports whether a tutorial may leave a line out without an ellipsis: a
// header, a key of a JSON object, what the server adds to an object, what curl -v tells of
// itself. j is the index of a line that came.
func (c *comparison) mayLack(j int) bool {
	line := c.real[j]
	if len(c.filled) > 0 && c.filled[j] {
		return true
	}
	heads, object, verbose := false, false, false
	for _, l := range c.page {
		heads = heads || statusLine.MatchString(l.text)
		object = object || jsonLine.MatchString(l.text)
		verbose = verbose || strings.HasPrefix(l.text, "* ") || strings.HasPrefix(l.text, "< ") || strings.HasPrefix(l.text, "> ")
	}
	switch {
	case heads && headerLine.MatchString(line):
		return true
	case object && jsonLine.MatchString(line):
		return true
	}
	return verbose && (strings.HasPrefix(line, "*") || strings.HasPrefix(line, ">") || strings.HasPrefix(line, "<") || strings.HasPrefix(line, "{ [") || strings.HasPrefix(line, "} ["))
}

// mayBeGone reports whether a line of the page need not have come.
func (c *comparison) mayBeGone(i int) bool { return c.notOurs[i] || addedByNetwork(c.page[i].text) }

// whyGone says why such a line has not come.
func (c *comparison) whyGone(i int) string {
	if c.notOurs[i] {
		return "a run does not write"
	}
	return "nobody sent"
}

// addedByNetwork reports whether a shown line is a header, also as a key of a JSON object,
// that the network in front of a host on the internet adds: not each has such a one.
func addedByNetwork(line string) bool {
	m := jsonLine.FindStringSubmatch(line)
	if m == nil {
		m = headerLine.FindStringSubmatch(line)
	}
	return m != nil && slices.Contains(ofNetworks, strings.ToLower(m[1]))
}

// ofNetworks are the headers that networks in front of a host add.
var ofNetworks = []string{
	"alt-svc", "cf-ray", "fastly-restarts", "p3p", "report-to", "x-amzn-trace-id", "x-cache", "x-cache-hits", "x-served-by", "x-timer",
}

// explain finds the shown line at which the two part.
func (c *comparison) explain() error {
	n, m := len(c.page), len(c.real)
	reach := make([]bool, m+1) // how many lines that came can stand for page[:i]
	reach[0] = true
	farthest, at := 0, 0
	for i := 0; ; i++ {
		ellipsis := i < n && isEllipsis(c.page[i].text)
		for j := range m { // lines that may be left out here
			if reach[j] && (c.log || !isFact(c.real[j]) && (ellipsis || c.mayLack(j))) {
				reach[j+1] = true
			}
		}
		if !slices.Contains(reach, true) {
			break
		}
		farthest, at = i, slices.Index(reach, true)
		if i == n {
			at = len(reach) - 1 - slices.Index(reversed(reach), true)
			break
		}
		if ellipsis {
			continue
		}
		next := make([]bool, m+1)
		if c.mayBeGone(i) {
			copy(next, reach)
		}
		for j := range m {
			if ok, _ := lineMatches(c.page[i].text, c.real[j], nil); reach[j] && ok {
				next[j+1] = true
			}
		}
		reach = next
	}
	d := &difference{want: "no more", got: "no more"}
	if farthest < n {
		d.line, d.want = &c.page[farthest], scalar(c.page[farthest].text)
	}
	if at < m {
		d.got, d.came = scalar(c.real[at]), c.real[at]
	}
	if farthest < n {
		c.explainEntry(d, c.page[farthest].text)
		if status := statusLine.FindStringSubmatch(c.page[farthest].text); status != nil {
			c.explainStatus(d, farthest, status)
		}
	}
	return d
}

func reversed(all []bool) []bool {
	all = slices.Clone(all)
	slices.Reverse(all)
	return all
}

// explainStatus names the status that came in place of one that is shown.
func (c *comparison) explainStatus(d *difference, i int, want []string) {
	k := c.responsesBefore(i)
	d.response, d.status = k, want[2]
	for _, line := range c.real {
		if got := statusLine.FindStringSubmatch(line); got != nil {
			if k == 0 {
				d.gotStatus = got[2]
				if got[2] != want[2] || got[1] != want[1] {
					d.got, d.why = scalar(line), fmt.Sprintf("response %d: shown %s, was %s", d.response+1, want[2], got[2])
				}
				return
			}
			k--
		}
	}
}

func (c *comparison) responsesBefore(i int) (n int) {
	for _, line := range c.page[:i] {
		if statusLine.MatchString(line.text) {
			n++
		}
	}
	return n
}

func cutLine(line string) string {
	if len(line) > 60 {
		return line[:60] + "…"
	}
	return line
}
