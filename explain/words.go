package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// A Word is a terse code and its meaning.
type Word struct{ Code, Means string }

// FlagWords are Envoy's response flags.
// Source: envoyproxy.io, "Access logging", %RESPONSE_FLAGS%.
var FlagWords = []Word{
	{"DC", "the client ended the connection"},
	{"DF", "the name was not found"},
	{"DI", "a delay was injected"},
	{"DO", "the overload manager dropped it"},
	{"DPE", "the client broke the protocol"},
	{"DR", "the other side reset it"},
	{"DT", "the request or the connection lasted longer than allowed"},
	{"FI", "a fault was injected"},
	{"IH", "a header of the request is not valid"},
	{"LH", "the health check of the upstream failed"},
	{"LR", "the connection was reset here"},
	{"NC", "its upstream cluster is not there"},
	{"NFCF", "no filter configuration came in time"},
	{"NR", "no route or filter chain fits"},
	{"OM", "the overload manager ended it"},
	{"RFCF", "a response filter failed"},
	{"RL", "it was over the rate limit"},
	{"RLSE", "the rate limit service failed"},
	{"SI", "the stream was idle for too long"},
	{"UAEX", "an external authorization refused it"},
	{"UC", "the upstream ended the connection"},
	{"UF", "no connection to the upstream was made"},
	{"UH", "its upstream cluster has no healthy host"},
	{"UMSDR", "the upstream asked for too long a time"},
	{"UO", "its upstream has too many requests already"},
	{"UPE", "the upstream broke the protocol"},
	{"UR", "the upstream reset it"},
	{"URX", "it was tried as often as allowed"},
	{"UT", "the upstream took too long"},
}

// DetailWords are Envoy's response code details, by how they begin.
// Source: envoyproxy.io, "Response Code Details".
var DetailWords = []Word{
	{"cluster_not_found", "its upstream cluster is not there"},
	{"direct_response", "a route answers by itself"},
	{"ext_authz_denied", "an external authorizer refused it"},
	{"filter_chain_not_found", "no filter chain fits its SNI or protocol"},
	{"no_healthy_upstream", "its upstream cluster has no healthy host"},
	{"rbac_access_denied_matched_policy", "an AuthorizationPolicy refused it"},
	{"request_overall_timeout", "the whole request took too long"},
	{"response_timeout", "the upstream took too long"},
	{"route_not_found", "no route fits"},
	{"upstream_per_try_timeout", "a try took too long"},
	{"upstream_reset_before_response_started", "the upstream's connection ended before an answer came"},
	{"upstream_response_timeout", "the upstream took too long"},
	{"http1.codec_error", "what came is no HTTP/1.1"},
	{"http2.violation", "what came is no valid HTTP/2"},
}

// CurlWords are curl's exit codes.
// Source: curl.se, man page, "EXIT CODES".
var CurlWords = []Word{
	{"1", "curl knows no such protocol"},
	{"2", "curl could not start"},
	{"3", "the URL is malformed"},
	{"5", "the proxy's name could not be resolved"},
	{"6", "the host's name could not be resolved"},
	{"7", "no connection was made"},
	{"16", "HTTP/2 failed"},
	{"18", "only a part of the answer came"},
	{"22", "the server answered with an error (--fail)"},
	{"23", "the answer could not be written"},
	{"28", "it took longer than curl waits"},
	{"35", "the TLS handshake failed"},
	{"47", "there were too many redirects"},
	{"51", "the server's certificate is for another name"},
	{"52", "the server answered nothing"},
	{"53", "the crypto engine was not found"},
	{"55", "sending failed"},
	{"56", "the connection was reset"},
	{"58", "the client's own certificate cannot be used"},
	{"59", "the cipher cannot be used"},
	{"60", "the server's certificate is not trusted"},
	{"61", "the answer's encoding is not known"},
	{"77", "the authorities' certificates cannot be read"},
	{"80", "TLS could not be shut down"},
	{"83", "the issuer's check failed"},
	{"90", "the server's public key is not the one that was pinned"},
	{"91", "the status of the server's certificate is not valid"},
	{"92", "an HTTP/2 stream failed"},
	{"97", "the handshake with the proxy failed"},
}

// GRPCWords are gRPC's statuses.
// Source: grpc.io, "Status Codes".
var GRPCWords = []Word{
	{"0", "OK"},
	{"1", "CANCELLED: the caller gave up"},
	{"2", "UNKNOWN: an error that is not told"},
	{"3", "INVALID_ARGUMENT: an argument is wrong"},
	{"4", "DEADLINE_EXCEEDED: it took too long"},
	{"5", "NOT_FOUND: what was asked for is not there"},
	{"6", "ALREADY_EXISTS: it is there already"},
	{"7", "PERMISSION_DENIED: the caller may not do that"},
	{"8", "RESOURCE_EXHAUSTED: a quota is used up"},
	{"9", "FAILED_PRECONDITION: the state does not allow it"},
	{"10", "ABORTED: somebody else did the same"},
	{"11", "OUT_OF_RANGE: beyond what there is"},
	{"12", "UNIMPLEMENTED: the server does not know the method"},
	{"13", "INTERNAL: something is broken"},
	{"14", "UNAVAILABLE: the server cannot be reached now"},
	{"15", "DATA_LOSS: data is lost or damaged"},
	{"16", "UNAUTHENTICATED: the caller is not known"},
}

func means(words []Word, code string) string {
	i := slices.IndexFunc(words, func(w Word) bool { return w.Code == code })
	if i < 0 {
		return ""
	}
	return words[i].Means
}

// CurlExit returns the meaning of an exit code of curl; "" if it is not known.
func CurlExit(code int) string { return means(CurlWords, fmt.Sprint(code)) }

// Flag returns the meaning of a response flag of Envoy; "" if it is not known.
func Flag(flag string) string { return means(FlagWords, flag) }

// GRPCStatus returns the meaning of a status of gRPC; "" if it is not known.
func GRPCStatus(status string) string { return means(GRPCWords, status) }

// Detail returns the meaning of Envoy's details of a response; "" if it is not known.
func Detail(details string) string {
	for _, w := range DetailWords {
		if strings.HasPrefix(details, w.Code) {
			return w.Means
		}
	}
	return ""
}

// wrongVersion reports whether a transport failure says that the other side does not
// speak TLS.
func wrongVersion(reason string) bool {
	return strings.Contains(strings.ToUpper(reason), "WRONG_VERSION_NUMBER") || strings.Contains(strings.ToUpper(reason), "HTTP_REQUEST")
}

// inWords returns a line of an access log in words.
func inWords(l *evidence.Line) string {
	what := "a connection"
	if l.Method != "" {
		what = fmt.Sprintf("%s %s", l.Method, l.Authority)
	} else if l.SNI != "" {
		what += " for " + l.SNI
	}
	text := l.Proxy + ": " + what
	if l.Cluster != "" {
		text += " to " + l.Cluster
	}
	if l.Status > 0 {
		text += fmt.Sprintf(", status %d", l.Status)
	}
	for _, flag := range l.Flags {
		text += ", " + flag
		if m := Flag(flag); m != "" {
			text += " (" + m + ")"
		}
	}
	if l.Details != "" && l.Details != "via_upstream" {
		text += ", " + l.Details
		if m := Detail(l.Details); m != "" && !strings.Contains(text, m) {
			text += " (" + m + ")"
		}
	}
	if l.TransportFailure != "" {
		text += ", " + strings.TrimSpace(l.TransportFailure)
	}
	return text
}
