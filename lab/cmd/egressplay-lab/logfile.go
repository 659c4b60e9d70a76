package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// A logFile is the log of a part. The part renames it to PATH.1 when it is full, and
// begins a new one. Both are read as one file: first the older one, then what has been
// written since.
type logFile struct {
	path  string
	files []*os.File // still to be read, at least one
}

// openLog opens the log of a part of a lab, which runs or has ended.
func (i *instance) openLog(component string) (*logFile, error) {
	exists, err := trusted(i.folder)
	if err == nil && !exists {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	return openLogFile(i.folder.Log(component))
}

// openLogFile opens the newer file first: if it is renamed in between, it is read twice
// rather than not at all.
func openLogFile(path string) (*logFile, error) {
	newer, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	l := &logFile{path: path, files: []*os.File{newer}}
	older, err := os.Open(path + ".1")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return l, nil
	case err != nil:
		return nil, errors.Join(err, l.Close())
	}
	if same, err := sameFile(older, newer); err != nil || same {
		return l, errors.Join(err, older.Close())
	}
	l.files = []*os.File{older, newer}
	return l, nil
}

// Read implements [io.Reader]. After [io.EOF] it may be called again, for what has
// been written since.
func (l *logFile) Read(p []byte) (int, error) {
	for {
		n, err := l.files[0].Read(p)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		if len(l.files) > 1 {
			if err := l.files[0].Close(); err != nil {
				return 0, err
			}
			l.files = l.files[1:]
			continue
		}
		newer, err := os.Open(l.path)
		if err != nil {
			return 0, io.EOF // it is being renamed, or was deleted with the lab
		}
		if same, err := sameFile(newer, l.files[0]); err != nil || same {
			if err = errors.Join(err, newer.Close()); err == nil {
				err = io.EOF
			}
			return 0, err
		}
		// What was written to the older file before it was renamed comes first.
		l.files = append(l.files, newer)
	}
}

// Close closes the open files.
func (l *logFile) Close() error {
	var errs []error
	for _, f := range l.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

func sameFile(a, b *os.File) (bool, error) {
	x, err := a.Stat()
	if err != nil {
		return false, err
	}
	y, err := b.Stat()
	return err == nil && os.SameFile(x, y), err
}
