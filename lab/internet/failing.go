package internet

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"sync"
)

// failing answers the first requests in one way and later ones in another. It counts
// the requests of each host and path separately, whatever their port.
type failing struct {
	times      int
	fail, then http.Handler

	mu   sync.Mutex
	seen map[[sha256.Size]byte]int // how often each host and path has failed
}

// mostSeen is how many hosts and paths are counted separately. It bounds the memory,
// because clients choose how many there are.
const mostSeen = 1 << 16

func (f *failing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.fails(nameIn(r.Host) + r.URL.Path) {
		f.fail.ServeHTTP(w, r)
	} else {
		f.then.ServeHTTP(w, r)
	}
}

func (f *failing) fails(what string) bool {
	key := sha256.Sum256([]byte(what))
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.seen[key]; !known && len(f.seen) >= mostSeen {
		return false
	}
	if f.seen == nil {
		f.seen = map[[sha256.Size]byte]int{}
	}
	if f.seen[key] >= f.times {
		return false
	}
	f.seen[key]++
	return true
}

// The words of a [Record] for how a host ends a request without a whole answer.
const (
	hostReset = "the host reset it"
	hostCut   = "the host cut it"
)

// breaksOff notes in the record of a request how the host ends it.
func breaksOff(w http.ResponseWriter, how string) {
	if answer, ok := w.(*answer); ok {
		answer.brokenOff = how
	}
}

// resetRequest resets the connection of a request.
func resetRequest(w http.ResponseWriter, r *http.Request) {
	breaksOff(w, hostReset)
	if answer, ok := w.(*answer); ok {
		answer.status(0) // before the client notices
	}
	connectionOf(r).abort()
	panic(http.ErrAbortHandler)
}

// cutShort sends the head of an answer and half of its body, and breaks off: the
// server closes a connection of HTTP/1, and resets the stream of HTTP/2. The server
// does that after the data it has sent; closing the connection here could overtake
// those.
func cutShort(whole http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kept := &keptAnswer{header: http.Header{}, status: http.StatusOK}
		whole.ServeHTTP(kept, r)
		for name, values := range kept.header {
			if !isTrailer(name) { // a trailer comes after the body
				w.Header()[name] = values
			}
		}
		w.Header().Set("Content-Length", strconv.Itoa(max(len(kept.body), 1)))
		breaksOff(w, hostCut)
		w.WriteHeader(kept.status)
		_, _ = w.Write(kept.body[:len(kept.body)/2]) // the client may be gone
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
}

// keptAnswer keeps an answer instead of sending it.
type keptAnswer struct {
	header http.Header
	status int
	body   []byte
}

func (k *keptAnswer) Header() http.Header    { return k.header }
func (k *keptAnswer) WriteHeader(status int) { k.status = status }

func (k *keptAnswer) Write(p []byte) (int, error) {
	k.body = append(k.body, p...)
	return len(p), nil
}
