package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// A word is what a terse code means.
type word struct{ code, means string }

// flagWords are Envoy's response flags.
// Source: envoyproxy.io, "Access logging", %RESPONSE_FLAGS%.
var flagWords = []word{
	{"DC", "the client ended the connection"},
	{"DF", "the name was not found"},
	{"DI", "a delay was injected"},
	{"FI", "a fault was injected"},
	{"LR", "the connection was reset here"},
	{"NC", "its upstream cluster is not there"},
	{"NFCF", "no filter chain fits"},
	{"NR", "no route fits"},
	{"RL", "it was over the rate limit"},
	{"SI", "the stream was idle for too long"},
	{"UAEX", "an external authorization refused it"},
	{"UC", "the upstream ended the connection"},
	{"UF", "no connection to the upstream was made"},
	{"UH", "its upstream cluster has no healthy host"},
	{"UO", "its upstream has too many requests already"},
	{"UR", "the upstream reset it"},
	{"URX", "it was tried as often as allowed"},
	{"UT", "the upstream took too long"},
}

// curlWords are curl's exit codes.
// Source: curl.se, man page, "EXIT CODES".
var curlWords = []word{
	{"6", "the host's name could not be resolved"},
	{"7", "no connection was made"},
	{"22", "the server answered with an error (--fail)"},
	{"28", "it took longer than curl waits"},
	{"35", "the TLS handshake failed"},
	{"52", "the server answered nothing"},
	{"55", "sending failed"},
	{"56", "the connection was reset"},
	{"58", "the client's own certificate cannot be used"},
	{"60", "the server's certificate is not trusted"},
	{"77", "the authorities' certificates cannot be read"},
}

func means(words []word, code string) string {
	i := slices.IndexFunc(words, func(w word) bool { return w.code == code })
	if i < 0 {
		return ""
	}
	return words[i].means
}

// inWords says what a line of an access log says.
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
		if m := means(flagWords, flag); m != "" {
			text += " (" + m + ")"
		}
	}
	if l.Details != "" && l.Details != "via_upstream" {
		text += ", " + l.Details
	}
	if l.TransportFailure != "" {
		text += ", " + strings.TrimSpace(l.TransportFailure)
	}
	return text
}

// CurlExit says what an exit code of curl means; "" where it is not known.
func CurlExit(code int) string { return means(curlWords, fmt.Sprint(code)) }
