package supervise

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
)

const (
	maxLog     = 32 << 20 // bytes, of each of the two files
	shownLines = 15       // in an error
)

// logFile appends to a file. When the file is full, it is renamed to its name + ".1",
// and a new one begins.
type logFile struct {
	path string
	max  int64

	mu   sync.Mutex
	file *os.File
	size int64
}

// OpenLog opens a log for appending that keeps the newest output: before the file
// exceeds max bytes, it is renamed to PATH.1, which replaces an earlier one, and a new
// file begins. One call of Write is never split.
func OpenLog(path string, max int64) (io.WriteCloser, error) { return openLog(path, max) }

func openLog(path string, max int64) (*logFile, error) {
	l := &logFile{path: path, max: max}
	if err := l.open(os.O_APPEND); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *logFile) open(how int) error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|how, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Write throws p away if there is no file.
func (l *logFile) Write(p []byte) (int, error) {
	if l == nil {
		return len(p), nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 && l.size+int64(len(p)) > l.max {
		if err := errors.Join(l.file.Close(), os.Rename(l.path, l.path+".1"), l.open(os.O_TRUNC)); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(p)
	l.size += int64(n)
	return n, err
}

func (l *logFile) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}

// lastLines returns the last lines of a file, at most n, from its last 8 KiB. It is for
// messages about another error, so it leaves out what it cannot read.
func lastLines(path string, n int) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	const window = 8 << 10
	cut := false
	if info, err := f.Stat(); err == nil && info.Size() > window {
		f.Seek(-window, io.SeekEnd)
		cut = true
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil
	}
	if _, rest, ok := bytes.Cut(text, []byte("\n")); cut && ok {
		text = rest
	}
	text = bytes.TrimRight(text, "\n")
	if len(text) == 0 {
		return nil
	}
	lines := strings.Split(string(text), "\n")
	return lines[max(0, len(lines)-n):]
}
