package internet

import (
	"bufio"
	"net"
	"net/http"
)

// answer is a response that reports its status once, before the client can have any
// part of it.
type answer struct {
	http.ResponseWriter
	tell      func(status int)
	told      bool
	brokenOff string // how the host will end it, if not as it should
}

func (a *answer) status(code int) {
	if !a.told {
		a.told = true
		a.tell(code)
	}
}

func (a *answer) WriteHeader(code int) {
	if code >= 200 || code == http.StatusSwitchingProtocols { // others announce another to come
		a.status(code)
	}
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(p []byte) (int, error) {
	a.status(http.StatusOK)
	return a.ResponseWriter.Write(p)
}

// Flush is here because go-httpbin takes every response for a [http.Flusher].
func (a *answer) Flush() {
	a.status(http.StatusOK)
	_ = http.NewResponseController(a.ResponseWriter).Flush() // nothing to flush to is nothing to tell
}

// Hijack is here for go-httpbin's WebSocket, as Flush is.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err == nil {
		a.status(http.StatusSwitchingProtocols)
	}
	return conn, rw, err
}
