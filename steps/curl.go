package steps

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/egressplay/egressplay/runner"
)

// A curl is a curl command that reports on itself: a --write-out of ours
// behind the author's own has it print, to stderr and between two marks, what
// it knows of its last transfer. The request on the wire stays the author's.
type curl struct {
	argv  []string
	mark  string // "" where the command's own options leave no room for ours
	heads bool   // it prints the heads of the responses to stdout
}

// curlReport is what curl says of a transfer.
type curlReport struct {
	exitCode, status, redirects int
	httpVersion                 string
	localIP                     string
	localPort                   int
	elapsed                     time.Duration
}

// reportFormat has curl write a report. It is kept short, and is not %{json}:
// curl writes to stderr, which has no buffer, character by character, and each
// one travels from the pod on its own. %{json} costs as much time as a request.
// Sources: the man page of curl, "--write-out"; curl's src/tool_writeout.c and
// src/tool_writeout_json.c.
const reportFormat = "%{exitcode},%{response_code},%{num_redirects},%{http_version},%{local_ip},%{local_port},%{time_total}"

// parseReport reads what [reportFormat] has become. A curl before 7.75 does not
// know all of its variables, and is no witness.
func parseReport(text string) (*curlReport, bool) {
	fields := strings.Split(text, ",")
	if len(fields) != 7 {
		return nil, false
	}
	r := &curlReport{httpVersion: fields[3], localIP: fields[4]}
	for i, n := range map[int]*int{0: &r.exitCode, 1: &r.status, 2: &r.redirects, 5: &r.localPort} {
		var err error
		if *n, err = strconv.Atoi(fields[i]); err != nil {
			return nil, false
		}
	}
	seconds, err := strconv.ParseFloat(fields[6], 64)
	r.elapsed = time.Duration(seconds * float64(time.Second))
	return r, err == nil
}

// takesValue are curl's short options that take a value.
// Source: the man page of curl.
const takesValue = "AbcCdDeEFhHKmoPQrtTuUwxXyYz"

// parseCurl returns argv as a command that reports on itself, and whether argv
// is a curl command at all: curl, or env NAME=VALUE... curl.
func parseCurl(argv []string) (*curl, bool) {
	at := 0
	if len(argv) > 0 && path.Base(argv[0]) == "env" {
		for at = 1; at < len(argv) && strings.Contains(argv[at], "="); at++ {
		}
	}
	if at >= len(argv) || path.Base(argv[at]) != "curl" {
		return nil, false
	}
	c := &curl{mark: rand.Text()[:13]} // 65 bits: no output has it by chance
	args := slices.Clone(argv[at+1:])
	writeOut, room := "", true
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--write-out":
			if i+1 < len(args) {
				writeOut = args[i+1]
				args = slices.Delete(args, i, i+2)
				i--
			}
		case arg == "--include" || arg == "--head" || arg == "--show-headers":
			c.heads = true
		case arg == "--dump-header":
			i++
			c.heads = c.heads || i < len(args) && args[i] == "-"
		case arg == "--next" || arg == "-:" || arg == "--parallel" || arg == "-Z" || arg == "--config" || arg == "-K":
			// Several transfers, or options that are not to be seen here.
			room = false
		case len(arg) > 1 && arg[0] == '-' && arg[1] != '-':
			for j := 1; j < len(arg); j++ {
				option := arg[j]
				if option == 'i' || option == 'I' {
					c.heads = true
				}
				if !strings.ContainsRune(takesValue, rune(option)) {
					continue
				}
				value, separate := arg[j+1:], false
				if value == "" && i+1 < len(args) {
					value, separate = args[i+1], true
				}
				switch {
				case option == 'K':
					room = false
				case option == 'D' && value == "-":
					c.heads = true
				case option == 'w':
					writeOut = value
					if separate {
						args = slices.Delete(args, i+1, i+2)
						separate = false
					}
					if args[i] = arg[:j]; args[i] == "-" {
						args = slices.Delete(args, i, i+1)
						i--
					}
				}
				if separate {
					i++
				}
				break
			}
		}
	}
	if strings.HasPrefix(writeOut, "@") {
		room = false // a file of the pod's
	}
	if !room {
		c.mark, c.argv = "", argv
		return c, true
	}
	c.argv = append(slices.Clone(argv[:at+1]), args...)
	c.argv = append(c.argv, "--write-out", writeOut+"%{stderr}"+c.mark+reportFormat+c.mark)
	return c, true
}

// witness takes curl's report out of the observation's Stderr and adds what it
// says, and the responses whose heads were printed.
func (c *curl) witness(o *runner.Observation) error {
	var report *curlReport
	if c.mark != "" {
		// Each URL of the command has a report of its own; the last one counts.
		var kept strings.Builder
		rest := o.Stderr
		for {
			before, after, found := strings.Cut(rest, c.mark)
			text, after, complete := strings.Cut(after, c.mark)
			if !found || !complete {
				break
			}
			kept.WriteString(before)
			if r, ok := parseReport(text); ok {
				report = r
			}
			rest = after
		}
		o.Stderr = kept.String() + rest
	}
	o.HeadsShown = c.heads
	o.Body = o.Stdout
	if c.heads {
		o.Responses, o.Body = parseHeads(o.Stdout)
	}
	if report == nil {
		return nil
	}
	o.CurlExitCode = &report.exitCode
	o.Redirects = report.redirects
	o.Elapsed = report.elapsed
	if report.localPort > 0 {
		o.LocalAddr = net.JoinHostPort(report.localIP, strconv.Itoa(report.localPort))
	}
	if report.status == 0 {
		return nil
	}
	if len(o.Responses) == 0 {
		o.Responses = []runner.Response{{Proto: "HTTP/" + report.httpVersion, Status: report.status}}
		return nil
	}
	if last := o.Responses[len(o.Responses)-1]; last.Status != report.status && !o.Truncated {
		return fmt.Errorf("two statuses: the last head that was printed says %d, curl itself %d", last.Status, report.status)
	}
	return nil
}

// statusLine is the first line of a response's head as curl prints it. HTTP/2
// has no reason phrase; curl leaves a blank behind the status.
var statusLine = regexp.MustCompile(`^(HTTP/[0-9.]+) ([0-9]{3})(?: .*)?$`)

// parseHeads returns the heads at the start of curl's output, and the rest.
func parseHeads(out string) (responses []runner.Response, body string) {
	for {
		head, rest, ok := cutHead(out)
		if !ok {
			return responses, out
		}
		line, fields, _ := strings.Cut(head, "\n")
		m := statusLine.FindStringSubmatch(strings.TrimRight(line, "\r"))
		if m == nil {
			return responses, out
		}
		status, _ := strconv.Atoi(m[2])
		header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(fields + "\r\n"))).ReadMIMEHeader()
		if err != nil {
			return responses, out
		}
		responses = append(responses, runner.Response{Proto: m[1], Status: status, Header: http.Header(header)})
		out = rest
	}
}

// cutHead cuts the head of a response, up to and with its empty line, from the
// start of curl's output.
func cutHead(out string) (head, rest string, ok bool) {
	if !strings.HasPrefix(out, "HTTP/") {
		return "", out, false
	}
	for _, end := range []string{"\r\n\r\n", "\n\n"} {
		if head, rest, ok := strings.Cut(out, end); ok {
			return head + "\r\n", rest, true
		}
	}
	return "", out, false
}
