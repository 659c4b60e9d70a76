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

	// grpcPrefix is the size of the prefix of each message, which says whether the
	// message is compressed, and its length.
	grpcPrefix = 5
)

// grpcEnd is how gRPC calls end.
type grpcEnd struct {
	status  int    // 0 to 16; with 0 comes an empty message, which is valid for every type
	message string // of the status

	// trailersOnly has the status sent in the head of the answer, as by servers that
	// fail at once, instead of after the body.
	trailersOnly bool
}

// isGRPC reports whether a request is a gRPC call.
func isGRPC(r *http.Request) bool {
	kind, isOne := strings.CutPrefix(r.Header.Get("Content-Type"), grpcType)
	return isOne && (kind == "" || kind[0] == '+' || kind[0] == ';') && r.ProtoMajor == 2 && r.Method == http.MethodPost
}

// grpcOr answers gRPC calls, and passes other requests to another handler.
func grpcOr(end grpcEnd, other http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isGRPC(r) {
			end.ServeHTTP(w, r)
		} else {
			other.ServeHTTP(w, r)
		}
	})
}

// ServeHTTP ends a call once its first message has come, or the client has ended
// without one.
func (e grpcEnd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var prefix [grpcPrefix]byte
	if _, err := io.ReadFull(r.Body, prefix[:]); err == nil {
		// A message that is cut short ends the call in the same way.
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
		_, _ = w.Write(make([]byte, grpcPrefix)) // the client may be gone
	}
	_ = http.NewResponseController(w).Flush() // send the head separately
}

// isTrailer reports whether a field of an answer's head is sent after the body.
func isTrailer(name string) bool { return strings.HasPrefix(name, http.TrailerPrefix) }

// grpcStatusIn returns the gRPC status of an answer with this head; nil if it has none.
func grpcStatusIn(head http.Header) *int {
	for _, place := range []string{"", http.TrailerPrefix} {
		if status, err := strconv.Atoi(head.Get(place + headerStatus)); err == nil {
			return &status
		}
	}
	return nil
}

// percentEncoded returns the message of a status in gRPC's encoding.
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
