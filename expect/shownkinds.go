package expect

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	headerLine = regexp.MustCompile(`^(?:[<>] )?([A-Za-z][A-Za-z0-9-]*): ?(.*)$`)
	jsonLine   = regexp.MustCompile(`^\s*"([^"]+)":\s*(.*?),?$`)
	timeLine   = regexp.MustCompile(`^(real|user|sys)\s+(?:(\d+)m\s*)?([\d.]+)s?$`)
	// OpenSSL's ages number its errors differently, and name or do not name the function.
	tlsError   = regexp.MustCompile(`^(curl: \(\d+\)) (?:OpenSSL/[\w.]+: )?error:[0-9A-F]{8}:SSL routines:\w*:(.*)$`)
	entryLine  = regexp.MustCompile(`^\[(?:[^\]]+)\] "([^"]*)" (\d+) (\S+) (.*)$`)
	squidLine  = regexp.MustCompile(`^\d+\.\d+\s+\d+\s+(\S+)\s+(\S+)\s+\d+\s+(\S+)\s+(\S+)\s`)
	upstream   = regexp.MustCompile(`\b(?:outbound|inbound)\|[^\s"]*|\b(?:PassthroughCluster|BlackHoleCluster|InboundPassthroughCluster[^\s"]*)`)
	connection = regexp.MustCompile(` \(#\d+\)$`)
	quoted     = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)
)

// isLogLine reports whether a line is one of an access log.
func isLogLine(line string) bool { return entryLine.MatchString(line) || squidLine.MatchString(line) }

// varying are the headers whose values tell nothing of the way that a request took.
var varying = []string{
	"accept-ranges", "age", "alt-svc", "cache-control", "cf-ray", "content-length", "date", "etag", "expires", "fastly-restarts", "last-modified",
	"origin", "p3p", "report-to", "set-cookie", "traceparent", "tracestate", "user-agent", "vary", "via", "x-amzn-trace-id", "x-b3-parentspanid",
	"x-b3-sampled", "x-b3-spanid", "x-b3-traceid", "x-cache", "x-cache-hits", "x-envoy-attempt-count", "x-envoy-expected-rq-timeout-ms",
	"x-envoy-peer-metadata", "x-envoy-upstream-service-time", "x-forwarded-for", "x-request-id", "x-served-by", "x-timer", "x-xss-protection", "x-frame-options",
}

func varies(name string) bool { return slices.Contains(varying, strings.ToLower(name)) }

// lineMatches reports whether a line that came is what a shown line means. soft
// says in what they differ although they need not. The values that vary are noted
// in bound, which may be nil.
func lineMatches(page, real string, bound *bindings) (ok bool, soft string) {
	if page == real && bound == nil {
		return true, ""
	}
	if p := statusLine.FindStringSubmatch(page); p != nil {
		r := statusLine.FindStringSubmatch(real)
		return r != nil && p[1] == r[1] && p[2] == r[2] && page[0] == real[0], ""
	}
	if p := entryLine.FindStringSubmatch(page); p != nil {
		r := entryLine.FindStringSubmatch(real)
		return r != nil && sameEntry(p, r) && bound.request(idOf(p), idOf(r)), ""
	}
	if p := squidLine.FindStringSubmatch(page); p != nil {
		r := squidLine.FindStringSubmatch(real)
		return r != nil && slices.Equal(p[2:], r[2:]), ""
	}
	if p := tlsError.FindStringSubmatch(page); p != nil {
		r := tlsError.FindStringSubmatch(real)
		return r != nil && p[1] == r[1] && p[2] == r[2], ""
	}
	if p := timeLine.FindStringSubmatch(page); p != nil {
		r := timeLine.FindStringSubmatch(real)
		return r != nil && p[1] == r[1] && (p[1] != "real" || closeTo(p, r)), ""
	}
	if versionLine.MatchString(page) {
		return versionLine.MatchString(real), ""
	}
	if p := jsonLine.FindStringSubmatch(page); p != nil {
		r := jsonLine.FindStringSubmatch(real)
		if r == nil || p[1] != r[1] {
			return false, ""
		}
		if varies(p[1]) {
			return requestMatches(p[1], p[2], r[2], bound), differs(p[1], p[2], r[2])
		}
		return tokensMatch(p[2], r[2], bound), ""
	}
	if p := headerLine.FindStringSubmatch(page); p != nil {
		if r := headerLine.FindStringSubmatch(real); r != nil && page[0] == '<' == (real[0] == '<') {
			if !strings.EqualFold(p[1], r[1]) {
				return false, ""
			}
			if varies(p[1]) {
				return requestMatches(p[1], p[2], r[2], bound), differs(p[1], p[2], r[2])
			}
			return tokensMatch(p[2], r[2], bound), ""
		}
	}
	if strings.HasPrefix(page, "* ") { // older ages of curl count their connections
		page, real = connection.ReplaceAllString(page, ""), connection.ReplaceAllString(real, "")
	}
	return tokensMatch(strings.TrimRight(page, ", "), strings.TrimRight(real, ", "), bound), ""
}

// differs says that a value that tells nothing is another one.
func differs(name, page, real string) string {
	if page == real || strings.Contains(page, "...") || tokensMatch(page, real, nil) {
		return ""
	}
	return name
}

// closeTo compares two times: within a fifth, or a second.
func closeTo(page, real []string) bool {
	a, b := secondsOf(page), secondsOf(real)
	return math.Abs(a-b) <= max(1, a/5)
}

func secondsOf(m []string) float64 {
	minutes, _ := strconv.ParseFloat(m[2], 64)
	seconds, _ := strconv.ParseFloat(m[3], 64)
	return minutes*60 + seconds
}

// sameEntry compares two lines of Envoy's access log: the request, the status, the
// flags, the upstream cluster and, where both have them, authority and SNI. The
// formats of Istio's ages differ in the other fields.
func sameEntry(p, r []string) bool {
	if p[1] != r[1] || p[2] != r[2] || p[3] != r[3] {
		return false
	}
	if a, b := upstream.FindString(p[4]), upstream.FindString(r[4]); a != b {
		return false
	}
	// The quoted fields end with: user agent, request id, authority, upstream host.
	a, b := quoted.FindAllStringSubmatch(p[4], -1), quoted.FindAllStringSubmatch(r[4], -1)
	if len(a) >= 4 && len(b) >= 4 {
		host, got := a[len(a)-1][1], b[len(b)-1][1]
		if !tokensMatch(host, got, nil) || a[len(a)-2][1] != b[len(b)-2][1] {
			return false
		}
	}
	return sniOf(p[4]) == sniOf(r[4])
}

// idOf returns the id of the request of an entry, "" for none.
func idOf(entry []string) string {
	all := quoted.FindAllStringSubmatch(entry[4], -1)
	if len(all) < 4 {
		return ""
	}
	return all[len(all)-3][1]
}

// requestMatches notes the id of a request that a header has, and reports whether it can
// be that.
func requestMatches(name, page, real string, bound *bindings) bool {
	return !strings.EqualFold(name, "x-request-id") || bound.request(strings.Trim(page, `"`), strings.Trim(real, `"`))
}

// sniOf returns the name in what follows the last address of an entry; "" for none.
func sniOf(rest string) string {
	for _, word := range strings.Fields(rest[strings.LastIndexByte(rest, '"')+1:]) {
		if strings.ContainsFunc(word, func(c rune) bool { return c >= 'a' && c <= 'z' }) && strings.Contains(word, ".") && !strings.Contains(word, "|") {
			return word
		}
	}
	return ""
}
