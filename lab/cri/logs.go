package cri

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// maxLogLine is how many bytes of a line the log has in one piece; a longer line is
// split (containerd's default of max_container_log_line_size).
const maxLogLine = 16 << 10

// logTime is RFC 3339 with all nine digits, so that every line's text begins in
// the same column.
const logTime = "2006-01-02T15:04:05.000000000Z07:00"

// A containerLog is the file that kubectl logs reads. Each line of it is
//
//	TIME STREAM TAG TEXT
//
// where STREAM is stdout or stderr and TAG is F for a full line and P for a piece
// of one that goes on in the next line of that stream, or that never ended.
// (Kubernetes design proposal "CRI: Log management for container stdout/stderr
// streams".)
type containerLog struct {
	path string // "": nothing is kept

	mu   sync.Mutex // one at a time: whole lines, and none during reopen
	file *os.File
}

func openLog(path string) (*containerLog, error) {
	l := &containerLog{path: path}
	return l, l.reopen()
}

// reopen goes on in the file at the same path, and makes it if it does not exist.
func (l *containerLog) reopen() error {
	if l.path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o755); err != nil {
		return fmt.Errorf("log of the container: %w", err)
	}
	file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("log of the container: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.file
	l.file = file
	if old != nil {
		return old.Close()
	}
	return nil
}

func (l *containerLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

func (l *containerLog) write(lines []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil || len(lines) == 0 {
		return nil
	}
	_, err := l.file.Write(lines)
	return err
}

// A logStream is one stream of a container on its way into the log.
type logStream struct {
	log  *containerLog
	name string
	now  func() time.Time
	rest []byte // the beginning of an unfinished line, at most maxLogLine bytes
}

// Write takes output as it comes, and logs the lines that it completes.
func (s *logStream) Write(p []byte) (int, error) {
	var out bytes.Buffer
	prefix := s.now().UTC().Format(logTime) + " " + s.name
	for rest := p; len(rest) > 0; {
		line, after, full := bytes.Cut(rest, []byte{'\n'})
		if room := maxLogLine - len(s.rest); len(line) > room {
			fmt.Fprintf(&out, "%s P %s%s\n", prefix, s.rest, line[:room])
			s.rest, rest = s.rest[:0], rest[room:]
			continue
		}
		if !full {
			s.rest = append(s.rest, line...)
			break
		}
		fmt.Fprintf(&out, "%s F %s%s\n", prefix, s.rest, line)
		s.rest, rest = s.rest[:0], after
	}
	return len(p), s.log.write(out.Bytes())
}

// Close logs what is left: a piece without the end of its line.
func (s *logStream) Close() error {
	if len(s.rest) == 0 {
		return nil
	}
	return s.log.write(fmt.Appendf(nil, "%s %s P %s\n", s.now().UTC().Format(logTime), s.name, s.rest))
}

// pump copies one stream of the container's output, to its end, into the log and to all
// attached clients. It returns the first error of writing the log; it reads the output
// nevertheless, so that the container does not block.
func (c *container) pump(stream string, r io.Reader) error {
	log := &logStream{log: c.log, name: stream, now: time.Now}
	buf := make([]byte, 32<<10)
	var failed error
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := log.Write(buf[:n]); err != nil && failed == nil {
				failed = err
			}
			c.taps.write(stream, buf[:n])
		}
		if err != nil {
			if failed == nil && !atEnd(err) {
				failed = err
			}
			return errors.Join(failed, log.Close())
		}
	}
}

// atEnd reports whether a read error only means the end of the output: the end of a
// pipe, a terminal (EIO) that no process has open any more, or the deadline of
// drainTime.
func atEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.EIO) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed)
}
