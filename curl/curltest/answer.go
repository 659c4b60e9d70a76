// Package curltest plays curl in tests: it writes what curl would write to
// stdout, the report that package curl asks for included.
package curltest

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/egressplay/egressplay/curl"
)

// Answer returns what a curl with this command line would write to stdout for
// transfers that went so: for each of them its heads, its body, and what the
// --write-out of the command line asks for. The Number of a transfer is its
// place, its sizes are those of its heads and its body where they are 0, and it
// has a connection to report where it has a LocalAddr.
func Answer(argv []string, transfers ...curl.Transfer) string {
	format := formatOf(argv)
	var b strings.Builder
	for i, t := range transfers {
		t.Number = i
		var heads strings.Builder
		for _, h := range t.Heads {
			fmt.Fprintf(&heads, "%s %d \r\n", h.Proto, h.Status)
			for _, f := range h.Fields {
				fmt.Fprintf(&heads, "%s: %s\r\n", f.Name, f.Value)
			}
			heads.WriteString("\r\n")
		}
		if t.HeadBytes == 0 {
			t.HeadBytes = int64(heads.Len())
		}
		if t.BodyBytes == 0 {
			t.BodyBytes = int64(len(t.Body))
		}
		b.WriteString(heads.String() + t.Body + variables(&t).Replace(format))
	}
	return b.String()
}

// formatOf returns the format of the last --write-out of a command line.
func formatOf(argv []string) (format string) {
	for i, word := range argv[:max(len(argv)-1, 0)] {
		if word == "--write-out" || word == "-w" {
			format = argv[i+1]
		}
	}
	return format
}

// variables puts in what the variables of a format stand for.
func variables(t *curl.Transfer) *strings.Replacer {
	localIP, localPort := split(t.LocalAddr)
	remoteIP, remotePort := split(t.RemoteAddr)
	version := strings.TrimPrefix(t.Proto, "HTTP/")
	if version == "" {
		version = "0"
	}
	seconds := func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 6, 64) }
	return strings.NewReplacer(
		"%{exitcode}", strconv.Itoa(t.ExitCode),
		"%{errormsg}", t.Error,
		"%{urlnum}", strconv.Itoa(t.Number),
		"%{response_code}", fmt.Sprintf("%03d", t.Status),
		"%{http_code}", fmt.Sprintf("%03d", t.Status),
		"%{http_connect}", fmt.Sprintf("%03d", t.TunnelStatus),
		"%{num_redirects}", strconv.Itoa(t.Redirects),
		"%{num_connects}", strconv.Itoa(t.Connects),
		"%{ssl_verify_result}", strconv.Itoa(t.CertificateError),
		"%{size_header}", strconv.FormatInt(t.HeadBytes, 10),
		"%{size_download}", strconv.FormatInt(t.BodyBytes, 10),
		"%{size_upload}", strconv.FormatInt(t.SentBytes, 10),
		"%{time_total}", seconds(t.Elapsed),
		"%{time_connect}", seconds(t.Connected),
		"%{time_appconnect}", seconds(t.Secured),
		"%{time_starttransfer}", seconds(t.FirstByte),
		"%{local_ip}", localIP, "%{local_port}", localPort,
		"%{remote_ip}", remoteIP, "%{remote_port}", remotePort,
		"%{http_version}", version,
		"%{scheme}", t.Scheme,
		"%{method}", t.Method,
		"%{url_effective}", t.URL,
		"%{content_type}", t.ContentType,
		"%{stdout}", "", `\n`, "\n",
	)
}

func split(addr string) (ip, port string) {
	ip, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", "0"
	}
	return ip, port
}
