package internet

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	grpcType     = "application/grpc"
	headerStatus = "Grpc-Status"
	headerText   = "Grpc-Message"

	// grpcPrefix is how many bytes come before each message: whether it is
	// compressed, and its length.
	grpcPrefix = 5
)

// grpcEnd is how calls of gRPC end.
type grpcEnd struct {
	status  int    // 0 to 16; with 0 comes an empty message, which is one of every type
	message string // of the status

	// trailersOnly has the status come in the head of the answer, as servers do
	// that fail at once, and not behind it.
	trailersOnly bool
}

// isGRPC reports whether a request is a call of gRPC.
func isGRPC(r *http.Request) bool {
	kind, isOne := strings.CutPrefix(r.Header.Get("Content-Type"), grpcType)
	return isOne && (kind == "" || kind[0] == '+' || kind[0] == ';') && r.ProtoMajor == 2 && r.Method == http.MethodPost
}

// grpcOr answers calls of gRPC, and leaves other requests to another.
func grpcOr(end grpcEnd, other http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isGRPC(r) {
			end.ServeHTTP(w, r)
		} else {
			other.ServeHTTP(w, r)
		}
	})
}

// ServeHTTP ends a call once its first message has come, or the client ends without
// one.
func (e grpcEnd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var prefix [grpcPrefix]byte
	if _, err := io.ReadFull(r.Body, prefix[:]); err == nil {
		// One that is cut short ends the call in the same way.
		_, _ = io.CopyN(io.Discard, r.Body, int64(binary.BigEndian.Uint32(prefix[1:])))
	}
	place := http.TrailerPrefix
	if e.trailersOnly {
		place = ""
	}
	w.Header().Set("Content-Type", grpcType)
	w.Header().Set(place+headerStatus, strconv.Itoa(e.status))
	if e.message != "" {
		w.Header().Set(place+headerText, percentEncoded(e.message))
	}
	w.WriteHeader(http.StatusOK)
	if e.trailersOnly {
		return
	}
	if e.status == 0 {
		_, _ = w.Write(make([]byte, grpcPrefix)) // a client that is gone wants no answer
	}
	_ = http.NewResponseController(w).Flush() // the head comes apart from what is behind it
}

// isTrailer reports whether a field of an answer's head is sent behind its body.
func isTrailer(name string) bool { return strings.HasPrefix(name, http.TrailerPrefix) }

// grpcStatusIn returns the status of gRPC that an answer with this head has; nil
// if it has none.
func grpcStatusIn(head http.Header) *int {
	for _, place := range []string{"", http.TrailerPrefix} {
		if status, err := strconv.Atoi(head.Get(place + headerStatus)); err == nil {
			return &status
		}
	}
	return nil
}

// percentEncoded returns the text of a status as gRPC sends it.
func percentEncoded(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
