package internet

import (
	"bufio"
	"net"
	"net/http"
)

// answer is a response that reports its status once, before the client can get any part
// of it.
type answer struct {
	http.ResponseWriter
	tell      func(status int)
	told      bool
	brokenOff string // how the host will break it off, "" if it will not
}

func (a *answer) status(code int) {
	if !a.told {
		a.told = true
		a.tell(code)
	}
}

func (a *answer) WriteHeader(code int) {
	if code >= 200 || code == http.StatusSwitchingProtocols { // other codes announce a further one
		a.status(code)
	}
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(p []byte) (int, error) {
	a.status(http.StatusOK)
	return a.ResponseWriter.Write(p)
}

// Flush implements [http.Flusher], which go-httpbin takes every response for.
func (a *answer) Flush() {
	a.status(http.StatusOK)
	_ = http.NewResponseController(a.ResponseWriter).Flush() // an error means that the client is gone
}

// Hijack implements [http.Hijacker], for go-httpbin's WebSocket.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err == nil {
		a.status(http.StatusSwitchingProtocols)
	}
	return conn, rw, err
}
