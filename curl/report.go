package curl

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// A Transfer is what curl reports about one URL.
type Transfer struct {
	// URL is the URL that was fetched last, at most 4 KiB of it: a redirect changes it.
	// Asked is the URL in the command, which may be a pattern.
	URL, Asked string
	// Number is the index of the URL in the command, from 0. The URLs of one pattern
	// share it.
	Number int
	// ExitCode is curl's own result of this transfer, and Error its message, at
	// most 4 KiB of it.
	ExitCode int
	Error    string

	// Method, Proto and Scheme are of the last request: "GET", "HTTP/1.1" or
	// "HTTP/2", "https". Proto is "" if there was no HTTP response.
	Method, Proto, Scheme string
	// ContentType is that of the last response, "" if it has none; at most 4 KiB of it.
	ContentType string
	// Status is that of the last response, 0 for none; TunnelStatus is that of
	// a proxy's last response to CONNECT.
	Status, TunnelStatus int
	// Redirects counts the redirects that curl followed, and its further rounds
	// of authentication. Connects counts the connections that it made; a transfer over
	// a connection that was kept open makes none.
	Redirects, Connects int
	// LocalAddr and RemoteAddr are the ends of its last connection, as "ip:port"; "" if
	// it made none. With a proxy, RemoteAddr is the proxy's.
	LocalAddr, RemoteAddr string

	// HeadBytes is the size of all heads that were received; BodyBytes that of
	// the last body, before it was decompressed; SentBytes that of what was
	// uploaded.
	HeadBytes, BodyBytes, SentBytes int64
	// Elapsed is the whole time, the others are the times from its start until
	// the connection was made, TLS was set up, and the first byte came; 0 for what did
	// not happen.
	Elapsed, Connected, Secured, FirstByte time.Duration
	// CertificateError is OpenSSL's number for what is wrong with the server's
	// certificate, 0 for nothing; it is set even with --insecure.
	CertificateError int

	// HeadsShown reports whether Heads is complete: each response's head in the order
	// of arrival. If it is false, Heads is empty.
	HeadsShown bool
	Heads      []Head
	// Trailer are the header fields that came after the last body.
	Trailer []Field
	// BodyShown reports whether Body is the last response's body. Truncated reports
	// whether only its beginning was kept.
	BodyShown bool
	Body      string
	Truncated bool
	// Repeated reports whether curl made the request again (--retry), so that this is
	// only about the last time.
	Repeated bool
	// Written is what the author's own --write-out wrote to stdout.
	Written string
}

// errTooOld reports that the curl does not know the variables of a report.
var errTooOld = errors.New("the curl in the pod cannot report on itself: it is older than 7.75")

// maxText is how much of a URL or of a message is kept, in bytes.
const maxText = 4 << 10

// A field is a variable of --write-out, and how its value is stored in a transfer.
// Sources: the man page of curl, "--write-out"; curl's src/tool_writeout.c.
type field struct {
	variable string
	take     func(t *Transfer, value string) error
}

// fields are the fields of a report, each after a comma; the last one may have commas
// itself. All of them exist since curl 7.75. The message of an error has a part of its
// own.
var fields = []field{
	{"exitcode", number(func(t *Transfer) *int { return &t.ExitCode })},
	{"urlnum", number(func(t *Transfer) *int { return &t.Number })},
	{"response_code", number(func(t *Transfer) *int { return &t.Status })},
	{"http_connect", number(func(t *Transfer) *int { return &t.TunnelStatus })},
	{"num_redirects", number(func(t *Transfer) *int { return &t.Redirects })},
	{"num_connects", number(func(t *Transfer) *int { return &t.Connects })},
	{"ssl_verify_result", number(func(t *Transfer) *int { return &t.CertificateError })},
	{"size_header", size(func(t *Transfer) *int64 { return &t.HeadBytes })},
	{"size_download", size(func(t *Transfer) *int64 { return &t.BodyBytes })},
	{"size_upload", size(func(t *Transfer) *int64 { return &t.SentBytes })},
	{"time_total", seconds(func(t *Transfer) *time.Duration { return &t.Elapsed })},
	{"time_connect", seconds(func(t *Transfer) *time.Duration { return &t.Connected })},
	{"time_appconnect", seconds(func(t *Transfer) *time.Duration { return &t.Secured })},
	{"time_starttransfer", seconds(func(t *Transfer) *time.Duration { return &t.FirstByte })},
	{"local_ip", text(func(t *Transfer) *string { return &t.LocalAddr })},
	{"local_port", port(func(t *Transfer) *string { return &t.LocalAddr })},
	{"remote_ip", text(func(t *Transfer) *string { return &t.RemoteAddr })},
	{"remote_port", port(func(t *Transfer) *string { return &t.RemoteAddr })},
	{"http_version", func(t *Transfer, value string) error {
		if value != "0" && value != "" {
			t.Proto = "HTTP/" + value
		}
		return nil
	}},
	{"scheme", text(func(t *Transfer) *string { return &t.Scheme })},
	{"method", text(func(t *Transfer) *string { return &t.Method })},
	{"url_effective", text(func(t *Transfer) *string { return &t.URL })},
}

func number(of func(*Transfer) *int) func(*Transfer, string) error {
	return func(t *Transfer, value string) (err error) {
		*of(t), err = strconv.Atoi(value)
		return err
	}
}

func size(of func(*Transfer) *int64) func(*Transfer, string) error {
	return func(t *Transfer, value string) (err error) {
		*of(t), err = strconv.ParseInt(value, 10, 64)
		return err
	}
}

func seconds(of func(*Transfer) *time.Duration) func(*Transfer, string) error {
	return func(t *Transfer, value string) error {
		n, err := strconv.ParseFloat(value, 64)
		*of(t) = time.Duration(n * float64(time.Second))
		return err
	}
}

func text(of func(*Transfer) *string) func(*Transfer, string) error {
	return func(t *Transfer, value string) error {
		*of(t) = value[:min(len(value), maxText)]
		return nil
	}
}

// port adds a port to an address that has the IP.
func port(of func(*Transfer) *string) func(*Transfer, string) error {
	return func(t *Transfer, value string) error {
		addr := of(t)
		n, err := strconv.Atoi(value)
		if *addr == "" || n <= 0 {
			*addr = ""
			return err
		}
		*addr = net.JoinHostPort(*addr, value)
		return err
	}
}

// format returns the --write-out that has curl write a report: a mark, the
// fields, a mark, the message of an error, a mark.
func (c *Command) format() string {
	variables := make([]string, len(fields))
	for i, f := range fields {
		variables[i] = "%{" + f.variable + "}"
	}
	return c.mark + strings.Join(variables, ",") + c.mark + "%{content_type}\n%{errormsg}" + c.mark
}

// parseReport reads the output of the format.
func parseReport(values, message string) (*Transfer, error) {
	parts := strings.SplitN(values, ",", len(fields))
	if parts[0] == "" {
		return nil, errTooOld
	}
	if len(parts) < len(fields) {
		return nil, fmt.Errorf("curl's report cannot be read: %d of %d fields", len(parts), len(fields))
	}
	// A header has no line feed.
	contentType, message, _ := strings.Cut(message, "\n")
	t := &Transfer{ContentType: contentType[:min(len(contentType), maxText)], Error: message[:min(len(message), maxText)]}
	for i, f := range fields {
		if err := f.take(t, parts[i]); err != nil {
			return nil, fmt.Errorf("curl's report cannot be read: %s: %w", f.variable, err)
		}
	}
	t.Scheme = strings.ToLower(t.Scheme)
	return t, nil
}

// Stderr returns what the author's command would have written to stderr: a
// curl that is too old to report complains of variables that it does not know.
func (c *Command) Stderr(stderr string) string {
	if c.Unreported != "" || !strings.Contains(stderr, unknownVariable) {
		return stderr
	}
	for _, variable := range append([]string{"errormsg", "content_type"}, variablesOf(fields)...) {
		if !strings.Contains(c.asked, "%{"+variable+"}") {
			stderr = strings.ReplaceAll(stderr, unknownVariable+"'"+variable+"'\n", "")
		}
	}
	return stderr
}

const unknownVariable = "curl: unknown --write-out variable: "

func variablesOf(fields []field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.variable
	}
	return names
}
