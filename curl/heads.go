package curl

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// A Head is the head of a response as curl prints it.
type Head struct {
	Proto  string // "HTTP/1.1" or "HTTP/2"
	Status int
	Fields []Field
}

// A Field is a header field; several may have one name.
type Field struct{ Name, Value string }

// Header returns the fields by their canonical names.
func (h Head) Header() http.Header {
	header := make(http.Header, len(h.Fields))
	for _, f := range h.Fields {
		header.Add(f.Name, f.Value)
	}
	return header
}

// split finds the heads and the body in what curl printed for a transfer. A body may
// look like a head, but curl counts the bytes of both.
func (c *Command) split(t *Transfer, printed string) error {
	target := c.targets[t.Number]
	switch {
	case c.Mixed != "":
		return nil
	case t.Scheme != "" && t.Scheme != "http" && t.Scheme != "https":
		// Other protocols have no heads, but curl prints something as such for some of
		// them.
		t.BodyShown = !target.elsewhere && !c.noBody && t.Redirects == 0 && t.HeadBytes == 0
		if t.BodyShown {
			t.Body = printed
		}
		return nil
	}
	t.HeadsShown = c.dump || c.heads && !target.elsewhere
	t.BodyShown = !target.elsewhere && !c.noBody
	headBytes := 0
	if t.HeadsShown {
		headBytes = int(t.HeadBytes)
	}
	printed = c.lastAttempt(t, printed, headBytes)
	if t.HeadsShown {
		rest, err := c.takeHeads(t, printed, headBytes)
		if err != nil {
			return err
		}
		printed = rest
	}
	return c.takeBody(t, printed)
}

// lastAttempt returns the output of curl's last attempt at a request (--retry). The
// sizes are known only for that one.
func (c *Command) lastAttempt(t *Transfer, printed string, headBytes int) string {
	size := headBytes
	if t.BodyShown {
		size += int(t.BodyBytes)
	}
	if !c.Retries || t.Truncated || c.recoded && t.BodyShown || len(printed) <= size {
		return printed
	}
	t.Repeated = true
	return printed[len(printed)-size:]
}

// takeHeads takes the heads from the front of the output.
func (c *Command) takeHeads(t *Transfer, printed string, size int) (rest string, err error) {
	hidden := c.noTunnel && t.TunnelStatus != 0 // then the size of the printed ones is not known
	if !hidden && size > len(printed) {
		if t.Truncated {
			t.HeadsShown, t.BodyShown = false, false
			return "", nil
		}
		return "", fmt.Errorf("curl counts %d bytes of heads, and printed %d bytes", size, len(printed))
	}
	text := printed
	if !hidden {
		text, rest = printed[:size], printed[size:]
	}
	responses := 0 // without interim ones
	for text != "" && !(hidden && responses > t.Redirects) {
		head, after, err := cutHead(text)
		if err != nil {
			return "", err
		}
		t.Heads = append(t.Heads, head)
		if head.Status >= 200 {
			responses++
		}
		text = after
	}
	if hidden {
		rest = text
	}
	if t.ExitCode != 0 || t.HeadBytes == 0 {
		return rest, nil
	}
	return rest, c.checkHeads(t, responses)
}

// checkHeads compares the heads with curl's report on the same transfer.
func (c *Command) checkHeads(t *Transfer, responses int) error {
	explained := t.Redirects + 1
	for i, head := range t.Heads {
		again := head.Status == http.StatusUnauthorized || head.Status == http.StatusProxyAuthRequired || head.Status == http.StatusExpectationFailed
		if t.TunnelStatus != 0 || again && i+1 < len(t.Heads) {
			explained++ // a round of authentication, or a proxy's answer
		}
	}
	if responses <= t.Redirects || responses > explained {
		return fmt.Errorf("curl printed %d heads, and says that it followed %d redirects", responses, t.Redirects)
	}
	if last := t.Heads[len(t.Heads)-1]; last.Status != t.Status {
		return fmt.Errorf("two statuses: the last head that was printed says %d, curl itself %d", last.Status, t.Status)
	}
	return nil
}

// takeBody takes the body, and the trailer after it, from the output after the heads.
func (c *Command) takeBody(t *Transfer, printed string) error {
	size := int64(len(printed))
	switch {
	case t.BodyShown && (c.recoded || t.Truncated || t.ExitCode != 0):
		t.Body = printed // its size is not known
		return nil
	case t.BodyShown && t.BodyBytes > size:
		return fmt.Errorf("curl counts %d bytes of the body, and printed %d", t.BodyBytes, size)
	case t.BodyShown:
		t.Body, printed = printed[:t.BodyBytes], printed[t.BodyBytes:]
	}
	var err error
	if t.Trailer, err = parseFields(printed); err != nil || len(t.Trailer) > 0 && !t.HeadsShown {
		return fmt.Errorf("curl printed %d bytes more than it counts", len(printed))
	}
	return nil
}

// statusLine is the first line of a response's head as curl prints it. HTTP/2
// has no reason phrase; curl leaves a blank behind the status.
var statusLine = regexp.MustCompile(`^(HTTP/[0-9.]+) ([0-9]{3})(?: .*)?$`)

// cutHead cuts a head, including its empty line, from the front of text. A
// connection may end before the empty line.
func cutHead(text string) (head Head, rest string, err error) {
	line, lines := cutLine(text)
	m := statusLine.FindStringSubmatch(line)
	if m == nil {
		return Head{}, "", fmt.Errorf("%.40q is no status line", line)
	}
	head.Proto = m[1]
	head.Status, _ = strconv.Atoi(m[2])
	rest = lines
	for {
		line, after := cutLine(rest)
		if line == "" {
			head.Fields, err = parseFields(lines[:len(lines)-len(rest)])
			return head, after, err
		}
		rest = after
	}
}

// cutLine cuts a line from the front of text, without its end.
func cutLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}

// parseFields reads header fields, one per line. A line that begins with a blank
// continues the one before (RFC 9112, "Obsolete Line Folding").
func parseFields(text string) (fields []Field, err error) {
	for text != "" {
		line, rest := cutLine(text)
		text = rest
		if line == "" {
			continue
		}
		if (line[0] == ' ' || line[0] == '\t') && len(fields) > 0 {
			fields[len(fields)-1].Value += " " + strings.TrimSpace(line)
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("%.40q is no header field", line)
		}
		fields = append(fields, Field{http.CanonicalHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)})
	}
	return fields, nil
}
