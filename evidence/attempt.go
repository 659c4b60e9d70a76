package evidence

import (
	"net/http"
	"time"
)

// An Attempt has everything that is known about one attempt of a step. A field that was
// not needed, or that does not apply to the kind of step, is zero.
type Attempt struct {
	// Started and Ended bound the attempt, by this machine's clock.
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	// Watched is when the proxies' counters began to be watched, shortly before
	// Started; zero if nobody watched them.
	Watched time.Time `json:"watched,omitzero"`
	// Slack is by how much the times of lines, by the node's clock, may differ from
	// this machine's.
	Slack time.Duration `json:"-"` // "slackMs"

	Command *Command `json:"command,omitempty"`
	// Shell is what a script showed; nil for any other kind of step.
	Shell *Shell `json:"shell,omitempty"`

	// Responses are the HTTP responses in the order in which they came: the heads that
	// curl printed, or if it printed none, the last response as curl reported it.
	Responses []Response `json:"responses,omitempty"`
	// Body is the output after the heads of Responses.
	Body string `json:"body,omitempty"`

	// Transfers has one report for each URL of a curl command, in order.
	Transfers []Transfer `json:"transfers,omitempty"`

	// Proxies are the proxies that were examined: the sidecar, and each pod of a
	// gateway on the way.
	Proxies []Proxy `json:"proxies,omitempty"`
	// Places are the pods that the names of an expectation mean, such as
	// egressgateway or deploy/NAME.
	Places []Place `json:"places,omitempty"`
	// Lines are the access-log lines of the attempt's time, including those of others.
	Lines []Line `json:"lines,omitempty"`
	// Unread are lines of that time that could not be read.
	Unread []Unread `json:"unread,omitempty"`
	// Counters are by how much counters grew, by proxy, cluster and host.
	Counters []Counter `json:"counters,omitempty"`
	// Upstreams has the clusters for which it matters who chose the address of a
	// request.
	Upstreams []Upstream `json:"upstreams,omitempty"`
	// Residents are the pods of the cluster that have an address at which a way ends, or
	// to which curl connected.
	Residents []Pod `json:"residents,omitempty"`
	// Arrivals is what reached the far end; nil if it was not asked.
	Arrivals *Arrivals `json:"arrivals,omitempty"`
	// Ways are the ways that the requests took, as [Join] finds them.
	Ways []Way `json:"ways,omitempty"`
	// Past reports whether the requests went past the sidecar, as [Join] finds it; nil
	// if that is not needed.
	Past *Past `json:"past,omitempty"`
	// Unclear is why lines cannot be attributed for certain; "" if they can.
	Unclear string `json:"unclear,omitempty"`

	// Changes are the objects that the attempt changed.
	Changes []Change `json:"changes,omitempty"`

	// Text is the output for a reader, as the command would have printed it.
	Text string `json:"-"`
}

// A Command is a command that ran in a pod.
type Command struct {
	Argv []string `json:"argv"` // as the author wrote it
	Pod  Pod      `json:"pod"`
	// ExitCode is the exit code as the server sent it, 128 + the signal for a command
	// that a signal ended; nil if no command ended.
	ExitCode *int `json:"exitCode"`
	// Stdout and Stderr are what the command wrote, at most 1 MiB of each.
	Stdout string `json:"stdout,omitempty"`
	Stderr string `json:"stderr,omitempty"`
	// Truncated reports whether there was more output than was kept.
	Truncated bool `json:"truncated,omitempty"`
	// Elapsed is the command's own time if it reported one, else that of the call.
	Elapsed time.Duration `json:"-"` // "elapsedMs"
	// OnlyReads reports whether the command only shows files, and certainly makes no
	// request.
	OnlyReads bool `json:"onlyReads,omitempty"`
	// Curl is what is known of a curl command; nil for any other command.
	Curl *Curl `json:"curl,omitempty"`
}

// A Curl is what a curl command line says about the command.
type Curl struct {
	// Unreported is why curl could not report on itself; "" if it did.
	Unreported string `json:"unreported,omitempty"`
	// HeadsShown reports whether curl prints the heads of its responses, so that
	// [Attempt.Responses] is complete; BodyShown reports whether it prints the body.
	HeadsShown bool `json:"headsShown"`
	BodyShown  bool `json:"bodyShown"`
	// Redirected reports whether the command line itself chooses the address to
	// connect to, by --connect-to, --resolve or a proxy.
	Redirected bool `json:"redirected,omitempty"`
	// Proxy is the proxy that the command line names, as it is written there; it may hold
	// a password. "" for none.
	Proxy string `json:"-"`
	// Retries reports whether curl may make a request several times.
	Retries bool `json:"retries,omitempty"`
	// FixedPort reports whether the command line names the port that curl sends from.
	// Then an address alone does not distinguish its requests from earlier ones.
	FixedPort bool `json:"fixedPort,omitempty"`
}

// A Pod is one pod, as far as evidence needs it.
type Pod struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	IP        string `json:"ip"`
	Node      string `json:"node,omitempty"`
	Container string `json:"container,omitempty"`
	// Sidecar reports whether the pod has Istio's proxy.
	Sidecar bool `json:"sidecar"`
}

// A Response is the head of one HTTP response.
type Response struct {
	Proto  string      `json:"proto"` // "HTTP/1.1" or "HTTP/2", as curl prints it
	Status int         `json:"status"`
	Header http.Header `json:"header,omitempty"` // nil when it is not known
}

// A Transfer is what curl reports about one URL.
type Transfer struct {
	URL       string        `json:"url"`
	ExitCode  int           `json:"exitCode"`
	Status    int           `json:"status"` // 0 if no response came
	Proto     string        `json:"proto,omitempty"`
	Redirects int           `json:"redirects,omitempty"` // how many curl followed
	Connects  int           `json:"connects"`            // how many connections it made
	Local     string        `json:"local,omitempty"`     // "ip:port" of its last connection, "" for none
	Remote    string        `json:"remote,omitempty"`    // the other end of that connection
	HeadBytes int64         `json:"headBytes,omitempty"` // of all heads
	BodyBytes int64         `json:"bodyBytes,omitempty"` // of the last body, as it came
	Elapsed   time.Duration `json:"-"`                   // "elapsedMs"
	// GRPCStatus is the header grpc-status, "" if there was none.
	GRPCStatus  string `json:"grpcStatus,omitempty"`
	ContentType string `json:"contentType,omitempty"`
	Error       string `json:"error,omitempty"`
	// Repeated reports whether curl made the request again (--retry), so that only the
	// last time is known.
	Repeated bool `json:"repeated,omitempty"`
}

// A Proxy is one of Istio's proxies, and the quality of its witnesses.
type Proxy struct {
	// Name is "sidecar", or the name by which the playbook knows the gateway.
	Name string `json:"name"`
	Pod  Pod    `json:"pod"`
	// Workload reports whether it is the sidecar of a workload other than the command's
	// own, at which a way may end.
	Workload bool `json:"workload,omitempty"`
	// Log says how good a witness the access log of the attempt's time is.
	Log Log `json:"log"`
	// Counted reports whether Counters has every growth of this proxy's counters.
	Counted bool `json:"counted"`
	// Uncounted is why not; "" if counters were not needed.
	Uncounted string `json:"uncounted,omitempty"`
	// Accepted is how many connections its listeners accepted, nil if the proxy does
	// not count them.
	Accepted *int64 `json:"accepted,omitempty"`
}

// A Log says how good a witness of the attempt a proxy's access log is.
type Log struct {
	// Read reports whether the log was read.
	Read bool `json:"read"`
	// Complete reports whether every line of the attempt's time has come: the line of a
	// later request has come, and the log reaches back to before the attempt.
	Complete bool `json:"complete"`
	// Partial is why the log may leave out requests by design, such as
	// "telemetry/errors-only in default logs only response.code >= 400". Off is
	// why it has none at all.
	Partial string `json:"partial,omitempty"`
	Off     string `json:"off,omitempty"`
	// Why is the reason why the log was not read or is not complete.
	Why string `json:"why,omitempty"`
	// Again reports whether a later attempt may find it complete.
	Again bool `json:"again,omitempty"`
}

// A Place has the pods that a name in a playbook means: those of a gateway or a
// workload.
type Place struct {
	Name string `json:"name"`
	Pods []Pod  `json:"pods"`
	// Why is the reason why no pod was found.
	Why string `json:"why,omitempty"`
}

// A Line is a line of a proxy's access log, in Istio's default formats. A field that
// the line does not have ("-") is empty.
type Line struct {
	Proxy string `json:"proxy"` // [Proxy.Name]
	Pod   string `json:"pod"`
	Text  string `json:"text"` // the whole line

	Start       time.Time     `json:"start"` // to the millisecond, by the node's clock
	Duration    time.Duration `json:"-"`     // "durationMs"
	Method      string        `json:"method,omitempty"`
	Path        string        `json:"path,omitempty"`
	Protocol    string        `json:"protocol,omitempty"`
	Status      int           `json:"status"`
	Flags       []string      `json:"flags,omitempty"`
	Details     string        `json:"details,omitempty"`
	Termination string        `json:"termination,omitempty"`
	// TransportFailure is why the connection to the upstream failed.
	TransportFailure string `json:"transportFailure,omitempty"`
	BytesSent        int64  `json:"bytesSent"`
	Authority        string `json:"authority,omitempty"`
	UpstreamHost     string `json:"upstreamHost,omitempty"`
	Cluster          string `json:"cluster,omitempty"`
	UpstreamLocal    string `json:"upstreamLocal,omitempty"`
	DownstreamLocal  string `json:"downstreamLocal,omitempty"`
	DownstreamRemote string `json:"downstreamRemote,omitempty"`
	SNI              string `json:"sni,omitempty"`
	Route            string `json:"route,omitempty"`

	// By is how the line was attributed to the attempt's requests:
	// "connection" (by curl's own address), "request" (by what was asked, of
	// whom, and when), "hop" (by the address from which the proxy before it
	// connected); "" for a line that belongs to others.
	By string `json:"by,omitempty"`
}

// The ways in which a [Line] is attributed.
const (
	ByConnection = "connection"
	ByRequest    = "request"
	ByHop        = "hop"
)

// An Unread is a line that looks like a line of the access log and cannot be read.
type Unread struct {
	Proxy string `json:"proxy"`
	Text  string `json:"text"`
}

// A Counter is the growth of one of a proxy's counters during the attempt.
type Counter struct {
	Proxy   string `json:"proxy"`
	Pod     string `json:"pod"`
	Cluster string `json:"cluster"` // such as outbound|443||www.wikipedia.org
	Host    string `json:"host"`    // "ip:port"
	Name    string `json:"name"`    // cx_total, rq_total, ...
	// Value is its present value, Grew its growth.
	Value int64 `json:"value"`
	Grew  int64 `json:"grew"`
}

// An Upstream is a cluster of a proxy to which a request went, and who chose the
// address.
type Upstream struct {
	Pod     string `json:"pod"`
	Cluster string `json:"cluster"`
	// Resolved reports whether the proxy chose it, from the DNS or from istiod's
	// configuration. It is false if the proxy took the address to which the client had
	// connected.
	Resolved bool `json:"resolved"`
	// Told reports whether istiod told it: the address itself, or a name to look up that
	// is not the host's own.
	Told bool `json:"told,omitempty"`
}

// Arrivals are what reached the far end during the attempt.
type Arrivals struct {
	// Recorded reports whether somebody records them; if nobody does, All is empty and
	// means nothing.
	Recorded bool      `json:"recorded"`
	All      []Arrival `json:"all"`
}

// An Arrival is one request that reached the far end, as the far end recorded
// it. Fields that are not known are zero.
type Arrival struct {
	Time time.Time `json:"time"`           // of the request's arrival
	Site string    `json:"site,omitempty"` // the stand-in that it reached
	// Owner is the stand-in with the name in the request, "" for none.
	Owner    string `json:"owner,omitempty"`
	Host     string `json:"host"`
	TLS      bool   `json:"tls"`
	SNI      string `json:"sni"`
	ALPN     string `json:"alpn"`     // the protocol that both agreed on in TLS
	Protocol string `json:"protocol"` // "HTTP/1.1", "HTTP/2.0", "TCP"
	Method   string `json:"method"`   // "" for a connection that ended without a request
	Path     string `json:"path"`
	Status   int    `json:"status"`
	Remote   string `json:"remote"` // "ip:port" of the client
	Local    string `json:"local"`  // "ip:port" of the server
	// ClientCertificate is the subject of the certificate that the client
	// showed.
	ClientCertificate string `json:"clientCertificate"`
	// Headers are the headers that show who handled the request, in lower case, such as
	// x-request-id.
	Headers map[string]string `json:"headers,omitempty"`
	// Truncated reports whether the client sent longer texts than are kept.
	Truncated bool `json:"truncated,omitempty"`
	// Error is how a connection without a request ended.
	Error string `json:"error,omitempty"`

	// Ours reports whether it came over a connection of the attempt's requests: curl's
	// own, or that of the last proxy on their way.
	Ours bool `json:"ours"`
	// By is how that is known: by "address"; by "request", whose id it has;
	// or, where there is no access log, by "time".
	By string `json:"by,omitempty"`
}

// A Way is the way that one request took, hop by hop.
type Way struct {
	// Hops are the proxies that it passed, the first of them "sidecar". It is
	// empty for a request that went past the sidecar.
	Hops []Hop `json:"hops,omitempty"`
	// Address is the address to which the last hop sent it, "ip:port"; "" for none.
	Address string `json:"address,omitempty"`
	// Pod is the pod that has Address, nil if none has it.
	Pod *Pod `json:"pod,omitempty"`
	// Cluster is the upstream cluster of the last hop; Authority and SNI are the host
	// in the request there.
	Cluster   string `json:"cluster,omitempty"`
	Authority string `json:"authority,omitempty"`
	SNI       string `json:"sni,omitempty"`
	// Received reports whether the sidecar of that pod passed the request on to its
	// application. It is false if that is not known.
	Received bool `json:"received,omitempty"`
	// Direct reports whether it went past the sidecar.
	Direct bool `json:"direct,omitempty"`
	// Ends is how it ended if it went no further than the last hop: [EndsBlocked],
	// [EndsRefused] or [EndsTimeout]; "" if it got further.
	Ends string `json:"ends,omitempty"`
	// Why is the reason for its end in the proxy's own words.
	Why string `json:"why,omitempty"`
	// By is the witness of the way: "log" or "counters".
	By string `json:"by,omitempty"`
	// Lines are the indices in [Attempt.Lines] of the lines that show it, a line for
	// each hop.
	Lines []int `json:"lines,omitempty"`
	// Unknown is why the rest of the way is not known; "" if all of it is known.
	Unknown string `json:"unknown,omitempty"`
	// Again reports whether a later attempt may know more.
	Again bool `json:"again,omitempty"`
}

// A Hop is a proxy on a way.
type Hop struct {
	Name string `json:"name"` // [Proxy.Name]
	Pod  Pod    `json:"pod"`
}

// The ends of a [Way] that goes no further than its last hop.
const (
	EndsBlocked = "blocked" // by the outbound traffic policy
	EndsRefused = "refused" // no connection was made that both sides accepted
	EndsTimeout = "timeout" // no connection was made in time
)

// Past says whether requests went past the sidecar. That is a claim that something is
// not there, for which two witnesses have to agree.
type Past struct {
	// For are the witnesses that confirm it, Against those that deny it, each in words.
	For     []string `json:"for,omitempty"`
	Against []string `json:"against,omitempty"`
	// Seen reports whether one of the witnesses in Against has seen the requests
	// themselves.
	Seen bool `json:"seen,omitempty"`
	// Silent are the witnesses that do not know, and why.
	Silent []string `json:"silent,omitempty"`
	// Again reports whether a silent witness may know after another attempt.
	Again bool `json:"again,omitempty"`
}

// Needs are the facts that an expectation needs.
type Needs struct {
	// Curl is curl's report on its own requests. The action provides it if it runs a
	// curl that can report.
	Curl bool
	// Lines are the lines that the sidecar logs for the requests, complete.
	Lines bool
	// Way is the way of the requests: the lines of each proxy on it, or if there are
	// none, the proxies' counters.
	Way bool
	// Places are the gateways and workloads that the expectation names.
	Places []string
	// Absence reports whether a claim is that something is not there, which needs a
	// second witness: the sidecar's counters.
	Absence bool
	// Arrivals is what reached the far end.
	Arrivals bool
	// Counters are the names of the proxies whose counters are needed.
	Counters []string
}

// And returns everything that n or m needs.
func (n Needs) And(m Needs) Needs {
	return Needs{
		Curl:     n.Curl || m.Curl,
		Lines:    n.Lines || m.Lines,
		Way:      n.Way || m.Way,
		Places:   union(n.Places, m.Places),
		Absence:  n.Absence || m.Absence,
		Arrivals: n.Arrivals || m.Arrivals,
		Counters: union(n.Counters, m.Counters),
	}
}

// Nothing reports whether only the action itself is needed.
func (n Needs) Nothing() bool {
	return !n.Lines && !n.Way && !n.Absence && !n.Arrivals && len(n.Places) == 0 && len(n.Counters) == 0
}

func union(a, b []string) []string {
	all := append([]string(nil), a...)
	for _, s := range b {
		found := false
		for _, t := range all {
			found = found || s == t
		}
		if !found {
			all = append(all, s)
		}
	}
	return all
}

// A Change is an object that a step changed.
type Change struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// Unaccounted returns for how long a curl command took more than its transfers, if that
// is so long that curl may have waited and made a request again: a .curlrc in the pod may
// have it retry, which nobody else sees. Curl waits a second at least. It returns 0 for
// what a command takes anyway.
func (a *Attempt) Unaccounted() time.Duration {
	if a.Command == nil || len(a.Transfers) == 0 {
		return 0
	}
	rest := a.Ended.Sub(a.Started)
	for _, t := range a.Transfers {
		rest -= t.Elapsed
	}
	if rest < time.Second-tolerance {
		return 0
	}
	return rest
}

// tolerance is by how much curl's clock and this machine's may differ in one command.
const tolerance = 100 * time.Millisecond
