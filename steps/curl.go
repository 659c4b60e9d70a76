package steps

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
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

// curlReport is the part of curl's --write-out '%{json}' that is used here.
// Source: the man page of curl, "--write-out".
type curlReport struct {
	ExitCode     int     `json:"exitcode"`
	ResponseCode int     `json:"response_code"`
	HTTPVersion  string  `json:"http_version"`
	NumRedirects int     `json:"num_redirects"`
	LocalIP      string  `json:"local_ip"`
	LocalPort    int     `json:"local_port"`
	TimeTotal    float64 `json:"time_total"` // seconds
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
	c := &curl{mark: "egressplay-" + rand.Text()}
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
	c.argv = append(c.argv, "--write-out", writeOut+"%{stderr}"+c.mark+"%{json}"+c.mark)
	return c, true
}

// witness takes curl's report out of the observation's Stderr and adds what it
// says, and the responses whose heads were printed.
func (c *curl) witness(o *runner.Observation) error {
	var report *curlReport
	if c.mark != "" {
		before, rest, found := strings.Cut(o.Stderr, c.mark)
		text, after, complete := strings.Cut(rest, c.mark)
		if found && complete {
			// %{json} is curl's from version 7.70 on; an older one prints
			// nothing for it, and is then no witness.
			r := new(curlReport)
			if err := json.Unmarshal([]byte(text), r); err == nil {
				report = r
			}
			// Each further URL of the command has a report of its own.
			for {
				b, rest, found := strings.Cut(after, c.mark)
				text, more, complete := strings.Cut(rest, c.mark)
				if !found || !complete {
					break
				}
				r := new(curlReport)
				if err := json.Unmarshal([]byte(text), r); err == nil {
					report = r
				}
				before, after = before+b, more
			}
			o.Stderr = before + after
		}
	}
	o.HeadsShown = c.heads
	o.Body = o.Stdout
	if c.heads {
		o.Responses, o.Body = parseHeads(o.Stdout)
	}
	if report == nil {
		return nil
	}
	o.CurlExitCode = &report.ExitCode
	o.Redirects = report.NumRedirects
	o.Elapsed = time.Duration(report.TimeTotal * float64(time.Second))
	if report.LocalPort > 0 {
		o.LocalAddr = net.JoinHostPort(report.LocalIP, strconv.Itoa(report.LocalPort))
	}
	if report.ResponseCode == 0 {
		return nil
	}
	if len(o.Responses) == 0 {
		o.Responses = []runner.Response{{Proto: "HTTP/" + report.HTTPVersion, Status: report.ResponseCode}}
		return nil
	}
	if last := o.Responses[len(o.Responses)-1]; last.Status != report.ResponseCode && !o.Truncated {
		return fmt.Errorf("two statuses: the last head that was printed says %d, curl itself %d", last.Status, report.ResponseCode)
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
