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
	"github.com/egressplay/egressplay/evidence"
)

// Sidecar is the name of the container of Istio's proxy in a pod, whether a sidecar or
// a gateway.
const Sidecar = "istio-proxy"

// maxLine is how much of a line of a log is read, in bytes.
const maxLine = 64 << 10

// lines returns the lines of the access log of a pod's proxy as they come, from a time
// on, until ctx or the log ends; without follow, only those that are written already.
// The server counts by the second and by the time at which a line was written, so that
// lines of earlier requests may come too. A line of the access log that cannot be read
// comes with [ErrUnreadable] and its text; any other error is a read error, and ends
// the sequence.
func (m *Mesh) lines(ctx context.Context, pod cluster.Pod, since time.Time, follow bool) iter.Seq2[evidence.Line, error] {
	return func(yield func(evidence.Line, error) bool) {
		log, err := m.Cluster.Logs(ctx, cluster.LogRequest{
			Namespace: pod.Namespace, Pod: pod.Name, Container: Sidecar, Follow: follow, Since: since,
		})
		if err != nil {
			yield(evidence.Line{}, err)
			return
		}
		defer log.Close()
		r := bufio.NewReaderSize(log, maxLine)
		for {
			text, whole, err := readLine(r)
			if err != nil {
				if !errors.Is(err, io.EOF) {
					yield(evidence.Line{}, err)
				}
				return
			}
			line, err := ParseLine(text)
			if !whole && err == nil {
				line, err = evidence.Line{Text: text}, ErrUnreadable
			}
			switch {
			case errors.Is(err, ErrNoLine):
				continue
			case err != nil:
				line = evidence.Line{Text: text}
			}
			if !yield(line, err) {
				return
			}
		}
	}
}

// readLine reads a line. If the line is too long, it returns the beginning, and whole
// is false.
func readLine(r *bufio.Reader) (text string, whole bool, err error) {
	b, err := r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return strings.TrimSuffix(string(b), "\n"), true, err
	}
	text = string(b)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	return text, false, err
}

// logBegins returns when the first line that the log of a pod's proxy still has was
// written, by the node's clock. Earlier lines are gone: the container was restarted, or
// its log was rotated. The error is io.EOF if the log is empty.
func (m *Mesh) logBegins(ctx context.Context, pod cluster.Pod) (time.Time, error) {
	log, err := m.Cluster.Logs(ctx, cluster.LogRequest{Namespace: pod.Namespace, Pod: pod.Name, Container: Sidecar, Timestamps: true})
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
