package mesh

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/egressplay/egressplay/cluster"
)

// Sidecar is the name of the container of Istio's proxy in a pod, be it a
// sidecar or a gateway.
const Sidecar = "istio-proxy"

// maxLine is how much of a line of a log is read, in bytes; a longer one is
// none of the access log.
const maxLine = 64 << 10

// Entries returns the lines of the access log of a pod's proxy as they come,
// from a time on, until ctx ends or the log does. The server counts by the
// second and by the time at which a line was written, so that lines of earlier
// requests may come too. The only error is that of reading, and then it is the
// last thing that comes.
func Entries(ctx context.Context, c cluster.Interface, pod cluster.Pod, since time.Time) iter.Seq2[Entry, error] {
	return entries(ctx, c, pod, since, true)
}

// EntriesSoFar is [Entries] of the lines that have been written already.
func EntriesSoFar(ctx context.Context, c cluster.Interface, pod cluster.Pod, since time.Time) iter.Seq2[Entry, error] {
	return entries(ctx, c, pod, since, false)
}

func entries(ctx context.Context, c cluster.Interface, pod cluster.Pod, since time.Time, follow bool) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		log, err := c.Logs(ctx, cluster.LogRequest{
			Namespace: pod.Namespace, Pod: pod.Name, Container: Sidecar, Follow: follow, Since: since,
		})
		if err != nil {
			yield(Entry{}, err)
			return
		}
		defer log.Close()
		r := bufio.NewReaderSize(log, maxLine)
		for {
			line, err := r.ReadSlice('\n')
			for errors.Is(err, bufio.ErrBufferFull) {
				line, err = r.ReadSlice('\n')
				line = line[:0]
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(Entry{}, err)
				}
				return
			}
			if len(line) == 0 {
				continue
			}
			entry, err := ParseEntry(string(line[:len(line)-1]))
			if err == nil && !yield(entry, nil) {
				return
			}
		}
	}
}

// LogBegins returns when the first line that the log of a pod's proxy still has
// was written, by the node's clock. What was written before is gone: the
// container was started anew, or its log was rotated. The error is io.EOF where
// the log is empty.
func LogBegins(ctx context.Context, c cluster.Interface, pod cluster.Pod) (time.Time, error) {
	log, err := c.Logs(ctx, cluster.LogRequest{Namespace: pod.Namespace, Pod: pod.Name, Container: Sidecar, Timestamps: true})
	if err != nil {
		return time.Time{}, err
	}
	defer log.Close()
	line, err := bufio.NewReader(io.LimitReader(log, maxLine)).ReadString(' ')
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339Nano, strings.TrimSuffix(line, " "))
}
